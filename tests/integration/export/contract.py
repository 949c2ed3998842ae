"""What every destination promises, as one suite: each kind says by an adapter how a test reaches it and looks at it.

A test runs for every adapter that has what the test `needs`; `parametrize` makes it so. The adapters that need this
environment alone are in `adapters`, those of counterparts in `tests.interop.export.counterparts`.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import duckdb
import pytest

from lake import ledger
from lake.export.destination import NOTHING, Destination, Partition
from lake.export.errors import DestinationDenied, DestinationUnavailable, SchemaConflict
from lake.export.status import CHANGED, MOVED, NEVER
from lake.ledger.export_receipts import ExportReceipt
from lake.storage import paths
from tests.integration.export.warm import Warm, WarmProcess
from tests.simulators.faulty_http import Fault, FaultyProxy
from tests.unit.export.lakes import (
    CLOUDTRAIL,
    HOUR,
    KINDS,
    KINDS_ROWS,
    OKTA,
    SmallLake,
    event_ids,
    export,
    gold_export,
    held_of,
    rows_of,
)

NEXT = "2026-03-02T05"
AT = Partition.of(HOUR)
PLAIN = "began as time_dt, epoch_ms(began) as time, {'uid': 'm' || n} as metadata, 3002 as class_uid"


class Adapter:
    """One kind of destination with its server, as the suite drives it. It lives for one test."""

    kind: ClassVar[str]
    proof: ClassVar[str] = "query"
    answers: ClassVar[bool] = True  # it can be asked what it holds
    removes: ClassVar[bool] = True  # rows that left the hour leave it too
    refuses: ClassVar[bool] = False  # it refuses single rows
    gold: ClassVar[bool] = True  # it takes tables that are no class of OCSF
    credentials: ClassVar[bool] = True
    server: ClassVar[bool] = True  # it is asked over HTTP
    write: ClassVar[tuple[str, str]] = ("", "")  # method and path of the request that carries rows
    quick: ClassVar[dict[str, Any]] = {}  # options that bound retries to about a second
    secret = "not-in-any-message"

    def __init__(self, lake: SmallLake, patch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
        self.lake, self.patch = lake, patch
        self.url = self.start(request)
        self._proxy: FaultyProxy | None = None

    def start(self, request: pytest.FixtureRequest) -> str:
        """Start the server; return its address."""
        raise NotImplementedError

    def stop(self) -> None:
        if self._proxy is not None:
            self._proxy.stop()

    @property
    def proxy(self) -> FaultyProxy:
        """A proxy in front of the server, from now on."""
        if self._proxy is None:
            self._proxy = FaultyProxy(self.url).start()
        return self._proxy

    def options(self, url: str = "", **said: Any) -> dict[str, Any]:
        """The settings of the destination; `url` may be that of a proxy."""
        raise NotImplementedError

    def open(self, url: str = "", **said: Any) -> Destination:
        return self.lake.destination(self.kind, **self.options(url, **said))

    def push(self, hour: str = HOUR, url: str = "", again: bool = False, **said: Any) -> ExportReceipt:
        """Push an hour of `authentication`."""
        there = self.open(url, **said)
        try:
            return self.lake.push(there, export(), hour, again=again)
        finally:
            there.close()

    def elsewhere(self) -> dict[str, Any]:
        """Settings that make it another destination."""
        raise NotImplementedError

    def ids(self, hour: str = HOUR, table: str = "authentication") -> list[str]:
        """The event ids of an hour there, in order; one that is there twice stands twice."""
        raise NotImplementedError

    def values(self) -> dict[str, Any]:
        """The rows of the hour there, by event id, as `expected` makes them of the lake's."""
        raise NotImplementedError

    def expected(self, row: dict[str, Any]) -> Any:
        return row

    def types(self) -> dict[str, str]:
        """Name and type of the columns of the table `authentication` there."""
        raise NotImplementedError

    def remove_one(self) -> None:
        """Remove a row, as somebody by hand."""
        raise NotImplementedError

    def refusal(self) -> tuple[str, str, str]:
        """Columns of rows of which the third is refused, and the destination's own code and words."""
        raise NotImplementedError

    def deny(self) -> str:
        """Let the server refuse the credentials; return words of the error."""
        raise NotImplementedError

    def allow(self) -> None:
        self.proxy.heal()

    def nobody(self) -> Destination:
        """The destination at an address where nobody listens."""
        return self.open("http://127.0.0.1:1")

    def end_sessions(self) -> None:
        """Do what the server does to sessions of clients that died."""


Test = Callable[..., None]


def needs(*abilities: str) -> Callable[[Test], Test]:
    """Run a test for the adapters with all these abilities; `not x` for those without."""

    def marked(test: Test) -> Test:
        test.needs = abilities  # type: ignore[attr-defined]
        return test

    return marked


def parametrize(metafunc: pytest.Metafunc, adapters: list[type[Adapter]]) -> None:
    """Give a test that takes `there` the adapters that it can run with."""
    if "there" in metafunc.fixturenames:
        wanted = getattr(metafunc.function, "needs", ())
        able = [each for each in adapters if all(_has(each, ability) for ability in wanted)]
        metafunc.parametrize("there", able, indirect=True, ids=lambda each: each.__name__)


def _has(adapter: type[Adapter], ability: str) -> bool:
    if ability.startswith("not "):
        return not getattr(adapter, ability.removeprefix("not "))
    return bool(getattr(adapter, ability))


@contextmanager
def started(
    adapter: type[Adapter], lake: SmallLake, patch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Adapter]:
    there = adapter(lake, patch, request)
    try:
        yield there
    finally:
        there.stop()


class Contract:
    """The suite. Every test begins with an empty lake and an empty destination."""

    def test_an_hour_is_there_counted_and_accounted_for(self, lake: SmallLake, there: Adapter) -> None:
        lake.silver(rows=7)
        lake.silver(rows=3, source=CLOUDTRAIL)
        receipt = there.push()
        assert (True, there.proof, 10) == (receipt.matches, receipt.proof, receipt.held_rows), receipt.mismatch
        assert receipt.bytes_pushed > 0
        assert {OKTA: 7, CLOUDTRAIL: 3} == {name: each.delivered for name, each in receipt.counted.items()}
        assert sorted(event_ids(lake.read(export()))) == there.ids()
        assert [] == lake.behind(there.open(), export())

    def test_pushing_twice_is_pushing_once(self, lake: SmallLake, there: Adapter) -> None:
        lake.silver()
        first, second = there.push(), there.push(again=True)
        assert (True, held_of(first)) == (second.matches, held_of(second))
        assert sorted(event_ids(lake.read(export()))) == there.ids()

    def test_an_hour_is_replaced_whole_and_no_other(self, lake: SmallLake, there: Adapter) -> None:
        for hour in (HOUR, NEXT):
            lake.silver(hour, rows=6)
            there.push(hour)
        others = there.ids(NEXT)
        lake.silver(rows=[1, 20])
        receipt = there.push()
        new = [f"{OKTA}:m1", f"{OKTA}:m20"]
        if there.removes:
            assert new == there.ids()
        else:
            assert {*new} < {*there.ids()} and receipt.left_behind == 5
        assert (True, 2, 6, others) == (receipt.matches, receipt.held_rows, len(others), there.ids(NEXT))

    @needs("removes")
    def test_an_hour_that_became_empty_is_empty_there(self, lake: SmallLake, there: Adapter) -> None:
        lake.silver(rows=3)
        there.push()
        lake.silver(rows=0)
        receipt = there.push()
        assert (True, 0, []) == (receipt.matches, receipt.held_rows, there.ids())
        lake.silver(rows=2)
        assert 2 == there.push().held_rows

    def test_an_hour_that_was_never_there_holds_nothing(self, lake: SmallLake, there: Adapter) -> None:
        lake.silver(rows=0)
        opened = there.open()
        delivery = opened.push("authentication", AT, lake.read(export()))
        assert NOTHING == delivery.held
        assert (NOTHING if there.answers else None) == opened.read_back("authentication", AT)
        opened.close()

    @needs("answers")
    def test_what_it_holds_can_be_asked_and_a_change_by_hand_shows_and_heals(
        self, lake: SmallLake, there: Adapter
    ) -> None:
        lake.silver()
        receipt, opened = there.push(), there.open()
        assert held_of(receipt) == opened.read_back("authentication", AT)
        there.remove_one()
        held = opened.read_back("authentication", AT)
        opened.close()
        assert held is not None and (9, True) == (held.rows, held.checksum != receipt.held_checksum)
        assert there.push(again=True).matches
        assert 10 == len(there.ids())

    def test_every_kind_of_value_arrives_as_the_table_of_types_says(self, lake: SmallLake, there: Adapter) -> None:
        lake.silver(rows=KINDS_ROWS, columns=f"{KINDS}, 3002 as class_uid")
        assert there.push().matches
        rows = {row["_event_id"]: row for row in rows_of(lake.read(export()))}
        assert {id_: there.expected(row) for id_, row in rows.items()} == there.values()

    @needs("gold")
    def test_a_table_without_classes_and_sources_goes_too(self, lake: SmallLake, there: Adapter) -> None:
        lake.gold()
        opened = there.open()
        assert lake.push(opened, gold_export()).matches
        opened.close()
        assert sorted(event_ids(lake.read(gold_export()))) == there.ids(table="logons_daily")

    @needs("refuses")
    def test_a_row_that_is_refused_is_kept_with_the_destinations_own_words(
        self, lake: SmallLake, there: Adapter
    ) -> None:
        columns, code, words = there.refusal()
        lake.silver(rows=6, columns=columns)
        receipt = there.push()
        assert (True, 5, {code: 1}) == (receipt.matches, receipt.held_rows, receipt.refused_by_code)
        assert 1 == receipt.counted[OKTA].refused
        assert [f"{OKTA}:m{n}" for n in (0, 1, 2, 4, 5)] == there.ids()
        file = lake.scratch / "refused.parquet"
        file.write_bytes(lake.store.read(paths.refused_file("there", "authentication", ledger.hour(HOUR))))
        with duckdb.connect() as con:
            ((id_, source, kept, told),) = con.execute(f"select _event_id, source, code, said from '{file}'").fetchall()
        assert (f"{OKTA}:m3", OKTA, code) == (id_, source, kept) and words in told
        lake.silver(rows=6)
        healed = there.push()
        assert (0, 6) == (healed.refused, healed.held_rows)

    def test_another_place_is_another_destination(self, lake: SmallLake, there: Adapter) -> None:
        lake.silver(rows=1)
        there.push()
        moved = there.open(**there.elsewhere())
        assert [(HOUR, MOVED)] == lake.behind(moved, export())
        assert there.secret not in f"{moved.identity} {moved!r} {vars(moved)}"

    @needs("credentials")
    def test_credentials_that_are_refused_are_told_and_never_shown(self, lake: SmallLake, there: Adapter) -> None:
        lake.silver(rows=2)
        words = there.deny()
        with pytest.raises(DestinationDenied, match=words) as told:
            there.push(url=there.proxy.url, **there.quick)
        assert "\n" not in str(told.value) and there.secret not in repr(told.value)
        assert [(HOUR, NEVER)] == lake.behind(there.open(), export())
        there.allow()
        receipt = there.push()
        assert receipt.matches and there.secret not in str(receipt)

    def test_a_server_that_is_not_there_is_given_up_within_the_bound(self, lake: SmallLake, there: Adapter) -> None:
        lake.silver(rows=1)
        nobody, began = there.nobody(), time.monotonic()
        with pytest.raises(DestinationUnavailable) as told:
            lake.push(nobody, export())
        assert time.monotonic() - began < 15
        assert "\n" not in str(told.value) and there.secret not in str(told.value)
        assert [(HOUR, NEVER)] == lake.behind(nobody, export())

    @needs("server")
    @pytest.mark.parametrize("fault", ["lost", "reset_upload", "busy"])
    def test_a_request_that_breaks_is_made_again_and_its_rows_are_there_once(
        self, lake: SmallLake, there: Adapter, fault: Any
    ) -> None:
        method, where = there.write
        lake.silver(rows=5)
        made = there.proxy.inject(
            Fault("error", method, where, status=503) if fault == "busy" else Fault(fault, method, where, at_bytes=40)
        )
        receipt = there.push(url=there.proxy.url)
        assert (1, True) == (made.made, receipt.matches)
        assert sorted(event_ids(lake.read(export()))) == sorted({*there.ids()})
        assert not there.removes or 5 == len(there.ids())

    @needs("server")
    @pytest.mark.parametrize("moment", ["before", "after"])
    def test_a_push_killed_at_its_write_is_made_right_by_the_next(
        self, lake: SmallLake, there: Adapter, warm: WarmProcess, moment: str
    ) -> None:
        """Before: the server never sees the request. After: it does, and nobody hears the answer."""
        lake.silver(rows=4)
        there.push(url=there.proxy.url)
        before = there.ids()
        lake.silver(rows=[2, 7, 8])
        after = sorted(event_ids(lake.read(export())))
        method, where = there.write
        pushing = Warm(warm, lake, there.kind, there.options(there.proxy.url))

        def kill() -> None:
            pushing.kill()
            if moment == "before":
                raise ConnectionAbortedError  # the proxy passes nothing on

        there.proxy.inject(Fault("act", method, where, act=kill))
        assert -9 == pushing.push(HOUR).code
        there.proxy.heal()
        there.end_sessions()
        assert [(HOUR, CHANGED)] == lake.behind(there.open(there.proxy.url), export())
        if there.removes:
            assert {*there.ids()} <= {*before, *after}
        receipt = there.push(url=there.proxy.url)
        assert receipt.matches and {*after} <= {*there.ids()}
        assert not there.removes or after == there.ids()


class ContractOfTables(Contract):
    """Also of destinations whose tables have columns with types."""

    def test_new_columns_are_added_and_one_that_left_is_null(self, lake: SmallLake, there: Adapter) -> None:
        lake.silver(rows=1, columns=f"{PLAIN}, 'old' as message")
        there.push()
        lake.silver(NEXT, rows=1, columns=f"{PLAIN}, {{'name': 'new'}} as user")
        assert there.push(NEXT).matches
        assert {"message", "user"} <= {name.lower() for name in there.types()}
        assert there.push(again=True).matches

    def test_a_type_that_cannot_be_widened_stops_the_export_and_changes_nothing(
        self, lake: SmallLake, there: Adapter
    ) -> None:
        lake.silver(rows=2, columns=f"{PLAIN}, 1 as many")
        there.push()
        before = (there.ids(), there.types())
        lake.silver(rows=3, columns=f"{PLAIN}, 'one' as many, 'x' as further")
        with pytest.raises(SchemaConflict, match=r"(?i)many is .* there and .* here.*Nothing was changed"):
            there.push()
        assert before == (there.ids(), there.types())
