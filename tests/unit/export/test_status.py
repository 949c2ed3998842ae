"""What is behind when sources leave, hours expire in part, or a push was killed: the destination follows the lake."""

from dataclasses import replace

import pytest

from lake import ledger
from lake.build.run import retire
from lake.export.declaration import Export
from lake.export.errors import DestinationUnavailable
from lake.export.push import push_hour, push_hours
from lake.export.status import (
    AGAIN,
    BROKEN_OFF,
    CHANGED,
    GONE,
    MISMATCH,
    MOVED,
    NEVER,
    REDECLARED,
    UNKEPT,
    Behind,
    export_status,
    in_range,
)
from lake.ledger.export_receipts import begun, begun_key, delivered_hours, deliveries, exported
from lake.ledger.published_tables import newest_builds
from lake.storage import paths
from lake.storage.store import LocalStore
from tests.unit.export.lakes import CLOUDTRAIL, HOUR, OKTA, SmallLake, export, gold_export
from tests.unit.export.shelf import Shelf
from tests.unit.export.test_push import NEXT, there


class Killed(BaseException):
    """The end of a process, as far as a test in the same process can have it."""


def killed() -> None:
    raise Killed


class TestSourcesThatLeave:
    def test_a_source_whose_model_the_project_has_no_longer_leaves_the_destination(self, lake: SmallLake) -> None:
        lake.silver(rows=3)
        lake.silver(rows=2, source=CLOUDTRAIL)
        lake.dispositions()
        shelf = Shelf()
        pushed = lake.push(shelf, export())
        retire(lake.store, f"authentication__{OKTA}")
        assert [(HOUR, GONE)] == lake.behind(shelf, export())
        assert pushed.pushed_at == lake.status(shelf, export()).behind[0].since
        receipt = lake.push(shelf, export())
        assert [f"{CLOUDTRAIL}:m0", f"{CLOUDTRAIL}:m1"] == there(shelf)
        assert ({CLOUDTRAIL}, [CLOUDTRAIL]) == (set(receipt.made_of), list(receipt.counted))
        assert [] == lake.behind(shelf, export())

    def test_when_all_sources_have_left_the_hour_becomes_empty_there_once(self, lake: SmallLake) -> None:
        lake.silver(rows=3)
        lake.silver(NEXT, rows=1)
        lake.dispositions()
        lake.dispositions(NEXT)
        shelf = Shelf()
        assert 2 == len(list(push_hours(lake.store, shelf, export(), [HOUR, NEXT])))
        retire(lake.store, f"authentication__{OKTA}")
        assert [(HOUR, GONE, 0), (NEXT, GONE, 0)] == [
            (each.hour, each.why, each.rows) for each in lake.status(shelf, export()).behind
        ]
        assert (0, []) == (lake.push(shelf, export()).rows, there(shelf))
        assert [(NEXT, GONE)] == lake.behind(shelf, export())
        assert {(OKTA, NEXT): {"there": 1}} == deliveries(lake.store).events
        lake.silver(rows=2)
        assert [(HOUR, CHANGED), (NEXT, GONE)] == lake.behind(shelf, export())

    @pytest.mark.parametrize("left", ["the files", "nothing"])
    def test_receipts_that_were_lost_take_nothing_away(self, lake: SmallLake, left: str) -> None:
        """Silver and its receipts can be deleted and are built again; until then destinations keep what they have."""
        assert isinstance(lake.store, LocalStore)
        lake.silver(rows=3)
        lake.dispositions()
        shelf = Shelf()
        lake.push(shelf, export())
        shelf.end = killed
        with pytest.raises(Killed):
            lake.push(shelf, export(), again=True)
        if left == "the files":
            lake.store.delete(f"ledger/build/authentication__{OKTA}")
        else:
            lake.store.delete("ledger/build")
            lake.store.delete("silver")
        for declared in (export(), export(filter="true = is_alert")):
            assert [] == lake.behind(shelf, declared)
            push_hour(lake.store, shelf, declared, HOUR, again=True)
        assert (2, 3) == (shelf.pushes, len(there(shelf)))
        lake.silver(rows=3)
        assert [(HOUR, CHANGED)] == lake.behind(shelf, export())

    def test_a_table_without_sources_never_leaves_by_itself(self, lake: SmallLake) -> None:
        lake.gold()
        shelf = Shelf()
        lake.push(shelf, gold_export())
        lake.store.delete("ledger/build/logons_daily")
        assert [] == lake.behind(shelf, gold_export())


class TestExpiry:
    def test_an_hour_that_expired_in_part_is_left_until_the_rest_is_built_anew(self, lake: SmallLake) -> None:
        okta = lake.silver(rows=3)
        lake.silver(rows=2, source=CLOUDTRAIL)
        shelf = Shelf()
        lake.push(shelf, export())
        lake.expire(okta)
        assert [] == lake.behind(shelf, export())
        assert 5 == len(there(shelf))
        lake.silver(rows=1, source=CLOUDTRAIL)
        assert [(HOUR, CHANGED)] == lake.behind(shelf, export())
        assert {CLOUDTRAIL} == set(lake.push(shelf, export()).made_of)
        assert ([f"{CLOUDTRAIL}:m0"], []) == (there(shelf), lake.behind(shelf, export()))

    def test_an_hour_whose_rows_expired_and_whose_other_source_left_is_left_alone(self, lake: SmallLake) -> None:
        okta = lake.silver(rows=3)
        lake.silver(rows=2, source=CLOUDTRAIL)
        lake.dispositions(source=CLOUDTRAIL)
        shelf = Shelf()
        lake.push(shelf, export())
        lake.expire(okta)
        retire(lake.store, f"authentication__{CLOUDTRAIL}")
        assert [] == lake.behind(shelf, export())
        push_hour(lake.store, shelf, export(), HOUR, again=True)
        assert 5 == len(there(shelf))


class TestPushesThatBrokeOff:
    def test_a_push_that_was_killed_after_the_rows_had_gone_is_done_again_whatever_is_declared_by_then(
        self, lake: SmallLake
    ) -> None:
        """The receipt is of the declaration of before, the rows are of the one that was taken back since."""
        lake.silver(rows=6)
        shelf = Shelf()
        lake.push(shelf, export())
        shelf.end = killed
        with pytest.raises(Killed):
            lake.push(shelf, export(filter="status_id = 1"))
        assert 2 == len(there(shelf))
        assert [(HOUR, BROKEN_OFF)] == lake.behind(shelf, export())
        shelf.end = bool
        lake.push(shelf, export())
        assert (6, []) == (len(there(shelf)), lake.behind(shelf, export()))
        assert {} == begun(lake.store, "there", "authentication")
        assert [] == [each.key for each in lake.store.list(paths.EXPORTING)]

    def test_rows_of_a_first_push_that_was_killed_leave_when_the_hour_becomes_empty(self, lake: SmallLake) -> None:
        lake.silver(rows=3)
        shelf = Shelf(end=killed)
        with pytest.raises(Killed):
            lake.push(shelf, export())
        assert [(HOUR, NEVER)] == lake.behind(shelf, export())
        lake.silver(rows=0)
        assert [(HOUR, BROKEN_OFF)] == lake.behind(shelf, export())
        shelf.end = bool
        assert (0, []) == (lake.push(shelf, export()).rows, there(shelf))
        assert [] == lake.behind(shelf, export())

    def test_also_when_the_table_has_no_such_hour_any_more(self, lake: SmallLake) -> None:
        lake.silver(rows=3)
        shelf = Shelf(end=killed)
        with pytest.raises(Killed):
            lake.push(shelf, export())
        lake.dispositions()
        retire(lake.store, f"authentication__{OKTA}")
        shelf.end = bool
        (behind,) = lake.status(shelf, export()).behind
        assert (HOUR, BROKEN_OFF, 0, begun(lake.store, "there", "authentication")[HOUR]) == (
            behind.hour,
            behind.why,
            behind.rows,
            behind.since,
        )
        lake.push(shelf, export())
        assert ([], []) == (there(shelf), lake.behind(shelf, export()))

    def test_a_push_that_failed_is_noted_too_for_nobody_knows_what_was_taken(self, lake: SmallLake) -> None:
        lake.silver()
        lake.silver(NEXT)
        shelf = Shelf()
        lake.push(shelf, export())
        lake.push(shelf, export(), NEXT)

        def away() -> None:
            raise DestinationUnavailable("no answer")

        shelf.end = away
        (failed,) = push_hours(lake.store, shelf, export(), [HOUR], again=True)
        assert ("no answer", False) == (failed.failed, failed.lasting)
        assert [(HOUR, BROKEN_OFF)] == lake.behind(shelf, export())
        noted = lake.store.info(begun_key("there", "authentication", HOUR))
        assert 1 == len(list(push_hours(lake.store, shelf, export(), [HOUR])))
        assert noted == lake.store.info(begun_key("there", "authentication", HOUR))  # it waits since the first

    def test_an_erasure_knows_of_hours_whose_rows_may_be_there(self, lake: SmallLake) -> None:
        lake.silver(rows=3)
        lake.silver(NEXT, rows=3)
        with pytest.raises(Killed):
            lake.push(Shelf(end=killed), export())
        with pytest.raises(Killed):
            lake.push(Shelf(end=killed), export(destination="next"), NEXT)
        lake.push(Shelf(), export(destination="other", filter="status_id = 1"))
        lake.push(Shelf(), export(destination="none", filter="severity_id = 9"))
        lake.push(Shelf(), export(), NEXT)
        assert [("other", "authentication", HOUR), ("there", "authentication", HOUR)] == delivered_hours(
            lake.store, OKTA, [HOUR]
        )


class TestRefused:
    def test_rows_that_were_refused_are_kept_again_when_the_hour_of_another_source_took_them_along(
        self, lake: SmallLake
    ) -> None:
        """Retention and erasure remove the refused rows of an hour, whosesoever they are."""
        okta = lake.silver(rows=3)
        lake.silver(rows=3, source=CLOUDTRAIL)
        shelf = Shelf(refuses=lambda row: "E1" if row["metadata"]["uid"] == "m1" else "")
        lake.push(shelf, export())
        assert [] == lake.behind(shelf, export())
        key = paths.refused_file("there", "authentication", ledger.hour(HOUR))
        lake.expire(okta)
        lake.store.delete(key)
        assert [(HOUR, UNKEPT)] == lake.behind(shelf, export())
        receipt = lake.push(shelf, export())
        assert ({"E1": 1}, True) == (receipt.refused_by_code, lake.store.info(key) is not None)
        assert [] == lake.behind(shelf, export())


class TestSince:
    def test_an_hour_waits_since_the_lake_has_had_what_is_missing(self, lake: SmallLake) -> None:
        first = lake.silver()
        shelf = Shelf()

        def waits(declared: Export | None = None, identity: str = shelf.identity) -> list[tuple[str, str]]:
            found = lake.status(replace(shelf, identity=identity), declared or export())
            return [(each.why, each.since) for each in found.behind]

        assert [(NEVER, first.built_at)] == waits()
        both = lake.silver(source=CLOUDTRAIL)
        assert first.built_at < both.built_at and [(NEVER, first.built_at)] == waits()
        pushed = lake.push(shelf, export()).pushed_at
        assert [(REDECLARED, pushed)] == waits(export(filter="true = is_alert"))
        assert [(MOVED, pushed)] == waits(identity="another")
        lake.silver(rows=1, source=CLOUDTRAIL)
        second = lake.builds(export())
        assert [(CHANGED, max(each.built_at for each in second.values()))] == waits()
        shelf.loses = lambda row: True
        lake.push(shelf, export())
        assert [(MISMATCH, first.built_at)] == waits()

    def test_one_sources_model_is_behind_by_that_source_alone(self, lake: SmallLake) -> None:
        lake.silver()
        shelf, wanted = Shelf(), export(f"authentication__{OKTA}")
        lake.push(shelf, wanted)
        lake.silver(source=CLOUDTRAIL)
        assert [] == lake.behind(shelf, wanted)
        assert [(HOUR, NEVER)] == lake.behind(shelf, export())

    def test_a_range_is_from_its_first_to_its_last_hour(self) -> None:
        behind = [Behind(hour, NEVER, "", 1) for hour in ("2026-03-02T03", HOUR, NEXT, "2026-03-02T06")]
        assert behind[1:3] == in_range(behind, HOUR, NEXT)
        assert (behind[:2], behind[2:], behind) == (
            in_range(behind, None, HOUR),
            in_range(behind, NEXT, None),
            in_range(behind, None, None),
        )

    def test_an_hour_is_asked_for_again_only_where_there_is_something_to_push(self, lake: SmallLake) -> None:
        lake.expire(lake.silver())
        lake.silver(NEXT)
        shelf = Shelf()
        lake.push(shelf, export(), NEXT)
        found = export_status(lake.store, newest_builds(lake.store), export(), shelf.identity, again=True).behind
        assert [(NEXT, AGAIN)] == [(each.hour, each.why) for each in found]


class TestDeliveries:
    def test_gold_counts_for_no_event_of_a_source(self, lake: SmallLake) -> None:
        lake.silver(rows=5)
        lake.gold(columns=f"began as time_dt, n as day, 'u' as user_name, '{OKTA}' as source")
        lake.push(Shelf(), export(filter="status_id = 1"))
        lake.push(Shelf(), gold_export())
        assert {(OKTA, HOUR): {"there": 2}} == deliveries(lake.store).events

    def test_an_event_that_two_exports_bring_is_counted_once_and_a_mismatch_for_nothing(self, lake: SmallLake) -> None:
        lake.silver(rows=6)
        lake.silver(rows=2, source=CLOUDTRAIL)
        lake.silver(rows=4, table="api_activity")
        lake.push(Shelf(), export(filter="status_id = 1", table="few"))
        lake.push(Shelf(), export(reduction={"aggregate": {"by": ["message"]}}, table="minutes"))
        lake.push(Shelf(), export("api_activity"))
        lake.push(Shelf(loses=lambda row: True), export(destination="other"))
        found = deliveries(lake.store)
        assert {(OKTA, HOUR): {"there": 10}, (CLOUDTRAIL, HOUR): {"there": 2}} == found.events
        assert (f"other/authentication {HOUR}: 8 rows were pushed, 0 are there",) == found.wrong

    def test_a_receipt_that_cannot_be_read_is_one_line_and_the_others_are_counted(self, lake: SmallLake) -> None:
        lake.silver(rows=2)
        lake.push(Shelf(), export())
        lake.push(Shelf(), export(destination="other"))
        lake.store.write(paths.export_day("other", "authentication", HOUR[:10]), b"{")
        found = deliveries(lake.store)
        assert {(OKTA, HOUR): {"there": 2}} == found.events
        (line,) = found.wrong
        assert line.startswith("other/authentication: ") and "doctor --repair" in line and "\n" not in line
        assert 1 == len(exported(lake.store, "there", "authentication"))
