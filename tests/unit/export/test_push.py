"""Pushing an hour: once, with a receipt that says what became of every row, and what is behind afterwards."""

from dataclasses import replace
from typing import Any

import msgspec

from lake import ledger
from lake.base.sql import at_hand
from lake.export.destination import Delivery, Held, Partition
from lake.export.push import push_hour
from lake.export.status import CHANGED, MISMATCH, MOVED, NEVER, REDECLARED
from lake.ledger.export_receipts import exported, exporting
from lake.storage import paths
from tests.unit.export.lakes import CLOUDTRAIL, HOUR, OKTA, SmallLake, event_ids, export, gold_export, held_of
from tests.unit.export.shelf import Shelf

NEXT = "2026-03-02T05"


def there(shelf: Shelf, hour: str = HOUR, table: str = "authentication") -> list[str]:
    return [row["_event_id"] for row in shelf.held.get((table, hour), ())]


class TestReceipts:
    def test_a_push_leaves_a_receipt_of_what_was_pushed_and_what_is_there(self, lake: SmallLake) -> None:
        lake.silver(rows=7)
        lake.silver(rows=3, source=CLOUDTRAIL)
        shelf, wanted = Shelf(), export(filter="status_id = 1")
        receipt = lake.push(shelf, wanted)
        reader = lake.read(wanted)
        assert {HOUR: receipt} == dict(exported(lake.store, "there", "authentication"))
        assert (reader.rows, reader.checksum) == (receipt.rows, receipt.checksum)
        assert shelf.read_back("authentication", Partition.of(HOUR)) == held_of(receipt)
        assert (True, "", {OKTA, CLOUDTRAIL}) == (receipt.matches, receipt.mismatch, set(receipt.made_of))
        assert event_ids(reader) == there(shelf)
        assert {CLOUDTRAIL: (3, 2, 1), OKTA: (7, 4, 3)} == {
            name: (each.published, each.filtered, each.delivered) for name, each in receipt.counted.items()
        }
        assert [("there", "authentication")] == exporting(lake.store)
        assert [] == [each.key for each in lake.store.list(paths.STAGING)]

    def test_push_again_is_pushing_once(self, lake: SmallLake) -> None:
        lake.silver()
        shelf = Shelf()
        first = lake.push(shelf, export())
        assert (first, 1) == (lake.push(shelf, export()), shelf.pushes)
        second = lake.push(shelf, export(), again=True)
        assert (2, first.checksum, first.held_checksum) == (shelf.pushes, second.checksum, second.held_checksum)

    def test_what_a_destination_tells_of_a_push_is_in_the_receipt(self, lake: SmallLake) -> None:
        class Teller(Shelf):
            def push(self, *given: Any) -> Delivery:
                told = super().push(*given)
                return msgspec.structs.replace(
                    told, sent=2, left_behind=1, remote={"job": "j1"}, notes=("seen",), proof="acknowledgements"
                )

            def read_back(self, *given: Any) -> Held:
                return super().read_back(*given) if self.pushes < 2 else None  # type: ignore[return-value]

        lake.silver(rows=3)
        first = lake.push(Shelf(), export(destination="plain"))
        assert (3, 0, {}, (), 1) == (first.sent, first.left_behind, first.remote, first.notes, first.bytes_pushed)
        told = lake.push(teller := Teller(), export())
        assert (2, 1, {"job": "j1"}, ("seen",)) == (told.sent, told.left_behind, told.remote, told.notes)
        assert ("acknowledgements", lake.read(export()).bytes_after) == (told.proof, told.bytes_after)
        teller.pushes = 2
        push_hour(lake.store, teller, export(), HOUR, verify=True)
        assert 2 == teller.pushes  # one that cannot be asked is believed

    def test_an_hour_that_nobody_built_gives_none(self, lake: SmallLake) -> None:
        lake.silver()
        assert push_hour(lake.store, Shelf(), export(), NEXT) is None

    def test_rows_that_the_destination_lost_are_a_mismatch_that_stays_behind(self, lake: SmallLake) -> None:
        lake.silver()
        shelf = Shelf(loses=lambda row: row["metadata"]["uid"] == "m3")
        receipt = lake.push(shelf, export())
        assert (False, "10 rows were pushed, 9 are there") == (receipt.matches, receipt.mismatch)
        assert [(HOUR, MISMATCH)] == lake.behind(shelf, export())
        assert ((HOUR, receipt.mismatch),) == lake.status(shelf, export()).mismatches
        shelf.loses = lambda row: False
        assert lake.push(shelf, export()).matches
        assert [] == lake.behind(shelf, export())

    def test_other_rows_of_the_same_number_are_a_mismatch(self, lake: SmallLake) -> None:
        lake.silver()
        receipt = lake.push(Shelf(), export())
        other = msgspec.structs.replace(receipt, held_checksum=receipt.checksum + 1)
        assert "10 rows were pushed and are there, but not the same ones (checksum over keys)" == other.mismatch

    def test_rows_that_are_unaccounted_for_are_a_mismatch_of_their_source(self, lake: SmallLake) -> None:
        lake.silver()
        lake.silver(source=CLOUDTRAIL)
        receipt = lake.push(Shelf(), export(filter="status_id = 1"))
        short = msgspec.structs.replace(receipt.counted[OKTA], filtered=0)
        wrong = msgspec.structs.replace(receipt, counted=receipt.counted | {OKTA: short})
        assert (True, False, f"rows are unaccounted for: {OKTA}") == (receipt.matches, wrong.matches, wrong.mismatch)

    def test_a_row_twice_and_another_missing_are_a_mismatch(self, lake: SmallLake) -> None:
        lake.silver()
        shelf = Shelf()
        shelf.end = lambda: shelf.held["authentication", HOUR].__setitem__(3, shelf.held["authentication", HOUR][4])
        receipt = lake.push(shelf, export())
        assert (10, 10, False) == (receipt.rows, receipt.held_rows, receipt.matches)

    def test_what_stands_there_is_asked_on_request(self, lake: SmallLake) -> None:
        lake.silver()
        shelf = Shelf()
        lake.push(shelf, export())
        shelf.held["authentication", HOUR].pop()
        assert 1 == shelf.pushes
        push_hour(lake.store, shelf, export(), HOUR, verify=True)
        push_hour(lake.store, shelf, export(), HOUR, verify=True)
        assert (2, 10) == (shelf.pushes, len(there(shelf)))


class TestRefused:
    def test_refused_rows_are_kept_whole_with_the_destinations_own_code_until_they_go(self, lake: SmallLake) -> None:
        lake.silver(rows=6)
        lake.silver(rows=3, source=CLOUDTRAIL)
        shelf = Shelf(refuses=lambda row: {1: "E1", 2: "E2"}.get(row["severity_id"], ""))
        receipt = lake.push(shelf, export())
        assert (5, 4, {"E1": 2, "E2": 2}, True) == (
            receipt.rows,
            receipt.refused,
            receipt.refused_by_code,
            receipt.matches,
        )
        assert {CLOUDTRAIL: (3, 2, 1), OKTA: (6, 2, 4)} == {
            name: (each.rows, each.refused, each.delivered) for name, each in receipt.counted.items()
        }
        assert all(each.conserved for each in receipt.counted.values())
        assert [] == lake.behind(shelf, export())
        assert 4 == lake.status(shelf, export()).refused
        kept = self.refused(lake)
        assert [(f"{OKTA}:m1", OKTA, "E1", "no E1 here", "signed in as u1", "2026-03-02T04:00:01.000000Z")] == kept[:1]
        assert 4 == len(kept)

        shelf.refuses = lambda row: "E3" if row["severity_id"] == 1 else ""
        lake.push(shelf, export(), again=True)
        assert {"E3"} == {row[2] for row in self.refused(lake)}
        shelf.refuses = lambda row: ""
        assert lake.push(shelf, export(), again=True).matches
        assert lake.store.info(paths.refused_file("there", "authentication", ledger.hour(HOUR))) is None

    @staticmethod
    def refused(lake: SmallLake) -> list[tuple[str, ...]]:
        key = paths.refused_file("there", "authentication", ledger.hour(HOUR))
        file = lake.scratch / "refused.parquet"
        file.write_bytes(lake.store.read(key))
        with at_hand() as con:
            return con.execute(
                "select _event_id, source, code, said, event ->> 'message', event ->> 'time_dt'"
                f" from '{file}' order by source desc, _event_id"
            ).fetchall()


class TestStatus:
    def test_what_is_behind_and_why(self, lake: SmallLake) -> None:
        lake.silver()
        lake.silver(NEXT, rows=2)
        shelf, wanted = Shelf(), export()
        assert [(HOUR, NEVER), (NEXT, NEVER)] == lake.behind(shelf, wanted)
        lake.push(shelf, wanted)
        assert [(NEXT, NEVER)] == lake.behind(shelf, wanted)
        lake.push(shelf, wanted, NEXT)
        assert [] == lake.behind(shelf, wanted)
        held = lake.status(shelf, wanted)
        assert (2, 12) == (held.hours, held.rows)

        lake.silver()
        assert [(HOUR, CHANGED)] == lake.behind(shelf, wanted)
        lake.push(shelf, wanted)
        lake.silver(rows=1, source=CLOUDTRAIL)
        assert [(HOUR, CHANGED)] == lake.behind(shelf, wanted)
        lake.push(shelf, wanted)
        narrowed = export(filter="status_id = 1")
        assert [(HOUR, REDECLARED), (NEXT, REDECLARED)] == lake.behind(shelf, narrowed)
        assert [(HOUR, MOVED), (NEXT, MOVED)] == lake.behind(replace(shelf, identity="another shelf"), wanted)
        assert [] == lake.behind(shelf, wanted)

    def test_what_is_missing_is_told_since_the_build_that_the_destination_lacks(self, lake: SmallLake) -> None:
        lake.silver()
        shelf = Shelf()
        lake.push(shelf, export())
        newer = lake.silver(rows=3)
        (behind,) = lake.status(shelf, export()).behind
        assert (newer.built_at, 3) == (behind.since, behind.rows)

    def test_an_hour_that_became_empty_becomes_empty_there(self, lake: SmallLake) -> None:
        shelf = Shelf()
        for build, wanted in ((lake.silver, export(filter="status_id = 1")), (lake.gold, gold_export())):
            build()
            lake.push(shelf, wanted)
            build(rows=0)
            assert [(HOUR, CHANGED)] == lake.behind(shelf, wanted)
            receipt = lake.push(shelf, wanted)
            assert (True, 0, []) == (receipt.matches, receipt.rows, there(shelf, table=wanted.table))
            assert [] == lake.behind(shelf, wanted)

    def test_an_hour_that_was_always_empty_has_nothing_to_push(self, lake: SmallLake) -> None:
        lake.silver(rows=0)
        assert [] == lake.behind(Shelf(), export())

    def test_an_hour_that_expired_in_the_lake_is_not_behind_and_stays_there(self, lake: SmallLake) -> None:
        built = lake.silver()
        shelf = Shelf()
        lake.push(shelf, export())
        lake.expire(built)
        assert [] == lake.behind(shelf, export())
        assert lake.push(shelf, export(), again=True).rows == 10 == len(there(shelf))
        lake.expire(lake.silver(NEXT))
        assert [] == lake.behind(shelf, export())
        assert push_hour(lake.store, shelf, export(), NEXT) is None

    def test_push_to_one_destination_says_nothing_of_another(self, lake: SmallLake) -> None:
        lake.silver()
        lake.push(Shelf(), export(destination="one"))
        assert [(HOUR, NEVER)] == lake.behind(Shelf(), export(destination="two"))
        assert [(HOUR, NEVER)] == lake.behind(Shelf(), export(destination="one", table="another"))
