"""Marts: what they read by their own text, and which of their hours are stale."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lake import ledger
from lake.ledger import build_receipts
from lake.ledger.build_receipts import BuildReceipt
from lake.ledger.staleness import Mappings
from lake.marts.declaration import BadMart, Marts, Node
from lake.marts.retention import expire_marts
from lake.marts.staleness import Tables, may_become_stale, stale_mart
from lake.storage.publish import Change, publish
from lake.storage.store import LocalStore
from lake.upkeep.retention import _expired_build

SIGN_INS, FINDINGS = "authentication__okta", "findings"


AUTHENTICATION = ("authentication__okta", "authentication__windows")


def silver(name: str, *reads: str) -> Node:
    return Node(name, "view" if reads else "table", "silver", reads)


def mart(name: str, *reads: str, **meta: object) -> Node:
    return Node(name, "table", "gold", reads, meta)


# A class of two sources, a mart over it that counts, and one that looks back ten hours.
GRAPH = (
    *map(silver, AUTHENTICATION),
    silver("authentication", *AUTHENTICATION),
    Node("weights", "seed"),
    mart("seen", "authentication", "weights", content=["who"]),
    mart("findings", SIGN_INS, "seen", ocsf_class="detection_finding", reads={"seen": {"before": "10h"}}),
)


def test_a_mart_reads_what_its_text_names_also_through_views() -> None:
    marts = Marts(GRAPH).by_name
    assert {each.name: (each.models, each.before) for each in marts["seen"].reads} == {
        "authentication": (AUTHENTICATION, 0)
    }
    assert ("who",) == marts["seen"].content
    assert [("authentication__okta", 0), ("seen", 10)] == [(each.name, each.before) for each in marts["findings"].reads]
    assert "detection_finding" == marts["findings"].ocsf_class


def test_marts_are_ordered_by_what_they_read() -> None:
    assert [("seen",), ("findings",)] == Marts(GRAPH).levels


@pytest.mark.parametrize(
    ("added", "message"),
    [
        ([mart("lost", "seen", reads={"no_such_model": "1h"})], "lost.sql: there is no model or seed 'no_such_model'"),
        ([mart("two__parts", "seen")], "no double underscore"),
        ([mart("raw", "stg_okta"), Node("stg_okta", "view", "staging")], "a mart reads silver and gold"),
        ([mart("alone", "weights")], "reads at least one table"),
        (
            [mart("seen", "authentication", reads={"authentication": {"before": "soon"}})],
            "seen.yml: reads: 'soon' is no",
        ),
        ([mart("seen", "authentication", grain="week")], "seen.yml: grain: 'week' (expected hour or day)"),
        ([mart("seen", "authentication", reads=["authentication"])], "seen.yml: reads: ['authentication']: expected"),
        ([mart("seen", "authentication", retention_days="long")], "retention_days: 'long' is no number of days"),
        ([mart("a mart", "authentication")], "a mart.sql: cannot be a name in the lake"),
    ],
)
def test_what_cannot_be_a_mart_is_named(added: list[Node], message: str) -> None:
    """The others stay."""
    marts = Marts((*GRAPH, *added))
    assert message in str(marts.problems[added[0].name])
    assert {*Marts(GRAPH).by_name} - {*marts.problems} == {*marts.by_name}
    assert {*marts.by_name} == {name for level in marts.levels for name in level}


def test_marts_in_a_circle_are_named() -> None:
    with pytest.raises(BadMart, match="one, other read each other in a circle"):
        _ = Marts((*GRAPH, mart("one", "seen", "other"), mart("other", "one"))).levels


class Lake:
    """A lake of receipts alone."""

    def __init__(self, root: Path) -> None:
        self.store = LocalStore(root)
        self.fingerprints = {"seen": "sql", "seen_days": "sql", FINDINGS: "sql"}
        self.graph(*GRAPH)

    def graph(self, *nodes: Node) -> None:
        self.marts = Marts(nodes)

    @property
    def mappings(self) -> Mappings:
        return Mappings(self.fingerprints)

    def built(self, model: str, hours: Iterable[int], rows: str = "a", **more: object) -> None:
        """Say that a table of silver was built from `rows`."""
        source = model.split("__")[1] if "__" in model else ""
        receipts = [receipt(model, source, hour, inputs=(("bronze", rows),), **more) for hour in hours]
        self.put(model, receipts)

    def put(self, model: str, receipts: list[BuildReceipt]) -> None:
        publish(self.store, lambda: Change(receipts=tuple(build_receipts.merged_days(self.store, model, receipts))))

    def build_marts(self, *names: str, content: str = "ann") -> list[tuple[str, str]]:
        """Build what is stale of some marts in order; return (mart, hour text)."""
        done = []
        for name in names:
            found = stale_mart(self.store, self.mappings, self.marts.by_name[name], Tables(self.store))
            self._build(name, [each.hour for each in found], content)
            done += [(name, each.hour) for each in found]
        return done

    def build_mart(self, name: str, content: str = "") -> list[int]:
        """Build what is stale of a mart; return the hours."""
        stale = self.stale(name)
        self._build(name, [text(hour) for hour in stale], content)
        return stale

    def _build(self, name: str, hours: list[str], content: str) -> None:
        tables, built = Tables(self.store), self.marts.by_name[name]
        mapping = self.mappings.fingerprint(name)
        done = [
            receipt(name, "", hour, inputs=tables.inputs(built, hour), mapping=mapping, content=content)
            for hour in hours
        ]
        self.put(name, done)

    def stale(self, name: str) -> list[int]:
        found = stale_mart(self.store, self.mappings, self.marts.by_name[name], Tables(self.store))
        return [int(each.hour[-2:]) for each in found]


def text(hour: int | str) -> str:
    return hour if isinstance(hour, str) else f"2026-03-02T{hour:02d}"


def receipt(model: str, source: str, hour: int | str, **more: object) -> BuildReceipt:
    given = {"rows": 1, "bytes": 0, "mapping": "m", "built_at": "now"} | more
    return BuildReceipt(model=model, source=source, table=model.split("__")[0], hour=text(hour), **given)  # type: ignore[arg-type]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = Lake(tmp_path / "lake")
    made.built(SIGN_INS, range(24))
    made.build_mart("seen", content="ann")
    made.build_mart(FINDINGS)
    return made


def test_nothing_is_stale_after_a_build(lake: Lake) -> None:
    assert ([], []) == (lake.stale("seen"), lake.stale(FINDINGS))


def test_late_rows_that_change_nothing_for_readers_reopen_their_hour_only(lake: Lake) -> None:
    lake.built(SIGN_INS, [3], rows="b")
    assert [3] == lake.build_mart("seen", content="ann")
    assert [3] == lake.stale(FINDINGS)


def test_late_rows_that_readers_look_back_to_reopen_the_hours_that_look_at_them(lake: Lake) -> None:
    lake.built(SIGN_INS, [3], rows="b")
    lake.build_mart("seen", content="bob")
    assert [*range(3, 14)] == lake.build_mart(FINDINGS)
    assert [] == lake.stale(FINDINGS)


def test_another_source_of_the_class_reopens_its_hours(lake: Lake) -> None:
    lake.built("authentication__windows", [22])
    assert [22] == lake.stale("seen")


def test_an_hour_whose_build_changed_no_rows_reopens_nothing(lake: Lake) -> None:
    lake.built(SIGN_INS, [3], built_at="later")
    assert [] == lake.stale("seen")


def test_hours_without_rows_are_all_alike(lake: Lake) -> None:
    lake.built("authentication__windows", [5], rows="none", **{"file": ""})
    lake.put("authentication__windows", [receipt("authentication__windows", "windows", 5, inputs=(), rows=0)])
    assert [] == lake.stale("seen")


def test_a_changed_mart_and_a_lost_file_are_stale(lake: Lake) -> None:
    lake.fingerprints["seen"] = "edited"
    assert ([*range(24)], []) == (lake.stale("seen"), lake.stale(FINDINGS))
    lake.fingerprints["seen"] = "sql"
    lake.put(FINDINGS, [_with_file(lake, FINDINGS, 7)])
    assert [7] == lake.stale(FINDINGS)


def _with_file(lake: Lake, model: str, hour: int) -> BuildReceipt:
    held = build_receipts.of_model(lake.store, model)[text(hour)]
    return receipt(
        model, "", hour, inputs=held.inputs, mapping=held.mapping, file="gold/findings/gone.parquet", bytes=9
    )


def test_an_expired_hour_is_not_built_again_and_its_mark_outlives_its_rows(lake: Lake) -> None:
    held = build_receipts.of_model(lake.store, SIGN_INS)[text(3)]
    expired = receipt(SIGN_INS, "okta", 3, inputs=(), expired_at="now", content=held.rows_mark)
    lake.put(SIGN_INS, [expired])
    assert ([], []) == (lake.stale("seen"), lake.stale(FINDINGS))
    lake.fingerprints["seen"] = "edited"
    assert [hour for hour in range(24) if hour != 3] == lake.stale("seen")


def test_the_hours_that_may_become_stale_are_those_whose_windows_hold_what_is_built(lake: Lake) -> None:
    findings = lake.marts.by_name[FINDINGS]
    found = may_become_stale(findings, Tables(lake.store), {"seen": [text(5)]})
    assert {text(hour) for hour in range(5, 16)} == found
    assert set() == may_become_stale(findings, Tables(lake.store), {"other": [text(5)]})


def test_an_hour_that_has_something_to_read_and_was_never_built_is_stale(lake: Lake) -> None:
    lake.built(SIGN_INS, [23], rows="z")
    publish(lake.store, lambda: Change(deletes=(build_receipts.day_key("seen", ledger.hour(text(1)).date()),)))
    assert [*range(24)] == lake.stale("seen")


def test_an_hour_of_a_mart_goes_with_all_that_it_was_made_of(lake: Lake) -> None:
    marts, now = lake.marts, datetime(2026, 3, 3)
    lake.built("authentication__windows", [3])
    lake.build_mart("seen", content="ann")
    assert {} == expire_marts(lake.store, marts, now, apply=True)
    expire_table(lake, SIGN_INS, 3)
    assert {} == expire_marts(lake.store, marts, now, apply=True), "the other source still has rows of the hour"
    expire_table(lake, "authentication__windows", 3)
    assert {"seen": [text(3)]} == expire_marts(lake.store, marts, now, apply=False)
    assert {"seen": [text(3)]} == expire_marts(lake.store, marts, now, apply=True)
    assert {FINDINGS: [text(3)]} == expire_marts(lake.store, marts, now, apply=True)
    assert ({}, []) == (expire_marts(lake.store, marts, now, apply=True), lake.stale("seen"))


DAYS = (
    mart("seen_days", "seen", grain="day", content=["who"]),
    mart("findings", SIGN_INS, "seen_days", reads={"seen_days": {"before": "90d"}}),
)


def test_a_mart_by_the_day_has_one_slot_that_reads_its_day_and_hours_see_the_days_before(lake: Lake) -> None:
    lake.graph(*GRAPH, *DAYS)
    monday, tuesday = [text(hour) for hour in range(24)], ["2026-03-03T04", "2026-03-03T05"]
    lake.put(SIGN_INS, [receipt(SIGN_INS, "okta", hour, inputs=(("b", "c"),)) for hour in tuesday])
    lake.build_marts("seen", "seen_days", FINDINGS)
    assert ["2026-03-02T00", "2026-03-03T00"] == sorted(build_receipts.of_model(lake.store, "seen_days"))
    assert [] == lake.build_marts("seen", "seen_days", FINDINGS)
    lake.built(SIGN_INS, [3], rows="late")
    assert [("seen", monday[3]), (FINDINGS, monday[3])] == lake.build_marts("seen", "seen_days", FINDINGS)
    lake.built(SIGN_INS, [3], rows="later")
    assert {(FINDINGS, hour) for hour in (monday[3], *tuesday)} == {
        each for each in lake.build_marts("seen", "seen_days", FINDINGS, content="bob") if each[0] == FINDINGS
    }


def test_a_mart_may_have_a_retention_of_its_own(lake: Lake) -> None:
    lake.graph(*GRAPH, mart("seen", "authentication", retention_days=1))
    found = expire_marts(lake.store, lake.marts, datetime(2026, 3, 3, 6), apply=False)
    assert {"seen": [text(hour) for hour in range(6)]} == found


def expire_table(lake: Lake, model: str, hour: int) -> None:
    held = build_receipts.of_model(lake.store, model)[text(hour)]
    lake.put(model, [_expired_build(held, datetime(2026, 3, 3, tzinfo=UTC))])
