"""Pushing an hour: once, with a receipt that says what became of every row, and what is behind afterwards."""

import errno
import threading
from dataclasses import replace
from typing import Any

import duckdb
import msgspec
import pytest

from lake import ledger
from lake.base.sql import at_hand
from lake.export import push
from lake.export.declaration import Export
from lake.export.destination import Delivery, Held, Partition
from lake.export.errors import DestinationDenied, DestinationUnavailable, ExportError, RowsRefused
from lake.export.push import Pushed, push_hour, push_hours
from lake.export.status import CHANGED, MISMATCH, MOVED, NEVER, REDECLARED
from lake.ledger import build_receipts
from lake.ledger.export_receipts import exported, exporting
from lake.storage import paths
from lake.storage.aws import StoreUnavailable
from lake.storage.publish import Change, Overtaken
from lake.storage.store import Lease, LostLock
from tests.unit.export.lakes import CLOUDTRAIL, EVENT, HOUR, OKTA, SmallLake, event_ids, export, gold_export, held_of
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


class TestFaults:
    def test_an_hour_that_fails_stays_behind_and_the_next_push_delivers_it(self, lake: SmallLake) -> None:
        lake.silver()

        def refuse() -> None:
            raise DestinationUnavailable("the shelf is full: make room, then push again")

        shelf = Shelf(act=refuse)
        with pytest.raises(DestinationUnavailable):
            lake.push(shelf, export())
        assert [(HOUR, NEVER)] == lake.behind(shelf, export())
        assert [] == [each.key for each in lake.store.list(paths.STAGING)]
        shelf.act = bool
        assert lake.push(shelf, export()).matches

    def test_a_column_that_old_hours_do_not_have_stops_those_alone(self, lake: SmallLake) -> None:
        for at in range(4):
            lake.silver(f"2026-03-02T0{at}", rows=2, columns=EVENT if at < 2 else f"{EVENT}, n as newer")
        done = self.push(lake, Shelf(), export(columns=["newer"]), 4)
        assert {0: True, 1: True, 2: False, 3: False} == {at: bool(done[at].failed) for at in done}
        assert all(done[at].lasting and "names 'newer'" in done[at].failed for at in (0, 1))

    def test_what_is_wrong_in_the_first_and_the_last_hour_is_not_tried_in_those_between(self, lake: SmallLake) -> None:
        for at in range(5):
            lake.silver(f"2026-03-02T0{at}", rows=2)
        done = self.push(lake, shelf := Shelf(), export(columns=["newer"]), 5)
        assert [False, True, True, True, False] == [done[at].failed.startswith("not tried: ") for at in range(5)]
        assert (True, 0) == (all(each.lasting for each in done.values()), shelf.pushes)

    @pytest.mark.parametrize(
        ("problem", "tried", "lasting"),
        [
            (DestinationDenied("expired"), 1, True),
            (DestinationUnavailable("away"), 3, False),
            (StoreUnavailable("away"), 3, False),
            (RowsRefused("no"), 6, False),
            (Overtaken("another writer"), 6, False),
            (duckdb.IOException("away"), 6, False),
        ],
    )
    def test_what_holds_for_all_hours_is_not_tried_for_each(
        self, lake: SmallLake, problem: Exception, tried: int, lasting: bool
    ) -> None:
        def refuse() -> None:
            raise problem

        for at in range(6):
            lake.silver(f"2026-03-02T0{at}", rows=2)
        shelf = Shelf(act=refuse)
        done = self.push(lake, shelf, export(), 6)
        assert (tried, lasting) == (shelf.pushes, done[5].lasting)
        assert all(str(problem) in each.failed for each in done.values())
        assert 6 == len(lake.behind(shelf, export()))

    def test_a_destination_that_answers_in_between_is_not_away(self, lake: SmallLake) -> None:
        for at in range(6):
            lake.silver(f"2026-03-02T0{at}", rows=2)

        def refuse() -> None:
            if shelf.pushes != 3:
                raise DestinationUnavailable("away")

        shelf = Shelf(act=refuse)
        done = self.push(lake, shelf, export(), 6)
        assert ([2], 6) == ([at for at, each in done.items() if not each.failed], shelf.pushes)

    def test_who_has_lost_the_lock_pushes_nothing(self, lake: SmallLake, monkeypatch: pytest.MonkeyPatch) -> None:
        def lost(_: Lease) -> None:
            raise LostLock("the lock could not be renewed in time")

        lake.silver()
        lake.silver(NEXT)
        shelf = Shelf()
        monkeypatch.setattr(Lease, "check", lost)
        done = list(push_hours(lake.store, shelf, export(), [HOUR, NEXT]))
        assert [("the lock could not be renewed in time", False)] * 2 == [(each.failed, each.lasting) for each in done]
        assert (0, []) == (shelf.pushes, list(lake.store.list(paths.EXPORTING)))

    def test_a_full_disk_is_told_in_one_line_and_nothing_is_half(self, lake: SmallLake) -> None:
        def fill() -> None:
            raise OSError(errno.ENOSPC, "No space left on device", "/data/lake/_staging/x")

        lake.silver()
        shelf = Shelf(end=fill)
        done = self.push(lake, shelf, export(), 5)
        assert "the disk is full (/data/lake/_staging/x): make room, then push again" == done[4].failed
        assert {} == exported(lake.store, "there", "authentication")
        assert [] == [each.key for each in lake.store.list(paths.STAGING)]
        shelf.end = bool
        assert lake.push(shelf, export()).matches

    def test_a_receipt_that_cannot_be_read_stops_its_own_day_alone(self, lake: SmallLake) -> None:
        lake.silver()
        lake.silver("2026-03-03T00")
        lake.store.write(paths.export_day("there", "authentication", HOUR[:10]), b"{")
        first, second = push_hours(lake.store, Shelf(), export(), [HOUR, "2026-03-03T00"])
        assert ("Delete it" in first.failed, first.lasting, second.failed) == (True, True, "")

    @staticmethod
    def push(lake: SmallLake, shelf: Shelf, wanted: Export, hours: int) -> dict[int, Pushed]:
        """Push hours from 0; return what became of each, by its number."""
        done = push_hours(lake.store, shelf, wanted, [f"2026-03-02T0{at}" for at in range(hours)])
        return {int(each.hour[-2:]): each for each in done}

    def test_an_hour_built_anew_while_it_is_read_is_read_again(
        self, lake: SmallLake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lake.silver(rows=3)
        read, reads = push.read_rows, []

        def late(*given: object, **more: object) -> object:
            reads.append(given)
            if len(reads) == 1:
                lake.silver(rows=5)
            return read(*given, **more)  # type: ignore[arg-type]

        monkeypatch.setattr(push, "read_rows", late)
        shelf = Shelf()
        receipt = lake.push(shelf, export())
        assert (2, 5, 5, True) == (len(reads), receipt.rows, len(there(shelf)), receipt.matches)
        assert [] == lake.behind(shelf, export())

    def test_an_hour_whose_new_file_is_there_before_its_receipt_is_read_when_both_are(
        self, lake: SmallLake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        built = lake.silver(rows=3)
        key, store = build_receipts.day_key(built.model, ledger.hour(HOUR).date()), lake.store
        before = store.read(key)
        lake.silver(rows=5)
        change = Change(receipts=((key, store.read(key).decode()),))
        store.write(key, before)
        read = push.read_rows

        def late(*given: object, **more: object) -> object:
            if not list(store.list(paths.JOURNAL)):
                store.write(f"{paths.JOURNAL}/1.json", msgspec.json.encode(change))
            return read(*given, **more)  # type: ignore[arg-type]

        monkeypatch.setattr(push, "read_rows", late)
        assert (5, True) == ((receipt := lake.push(Shelf(), export())).rows, receipt.matches)

    def test_an_hour_built_anew_with_as_many_rows_while_it_is_pushed_is_behind_again(self, lake: SmallLake) -> None:
        lake.silver(rows=3)
        shelf = Shelf(act=lambda: lake.silver(rows=[7, 8, 9]))
        lake.push(shelf, export())
        assert [(HOUR, CHANGED)] == lake.behind(shelf, export())
        shelf.act = bool
        lake.push(shelf, export())
        assert [f"{OKTA}:m{n}" for n in (7, 8, 9)] == there(shelf)

    def test_an_hour_that_expires_while_it_is_read_is_not_emptied_there(
        self, lake: SmallLake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        built = lake.silver()
        shelf = Shelf()
        lake.push(shelf, export())
        read = push.read_rows

        def late(*given: object, **more: object) -> object:
            if lake.builds(export()):
                lake.expire(built)
            return read(*given, **more)  # type: ignore[arg-type]

        monkeypatch.setattr(push, "read_rows", late)
        with pytest.raises(ExportError, match="cannot be read"):
            lake.push(shelf, export(), again=True)
        assert 10 == len(there(shelf))

    def test_a_damaged_file_delivers_nothing_and_changes_nothing_there(self, lake: SmallLake) -> None:
        lake.silver()
        shelf = Shelf()
        lake.push(shelf, export())
        lake.store.write(lake.silver().file, b"damaged")
        with pytest.raises(ExportError, match="cannot be read"):
            lake.push(shelf, export())
        assert (1, 10, [(HOUR, CHANGED)]) == (shelf.pushes, len(there(shelf)), lake.behind(shelf, export()))

    def test_two_pushes_at_once_push_once(self, lake: SmallLake) -> None:
        lake.silver()
        both = threading.Barrier(2)
        shelf, receipts = Shelf(), []

        def push() -> None:
            both.wait()
            receipts.append(lake.push(shelf, export()))

        threads = [threading.Thread(target=push) for _ in range(2)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert (1, 1) == (shelf.pushes, len({each.pushed_at + str(each.seconds) for each in receipts}))

    def test_a_receipt_changed_by_hand_is_told(self, lake: SmallLake) -> None:
        lake.silver()
        lake.push(Shelf(), export())
        key = paths.export_day("there", "authentication", HOUR[:10])
        lake.store.write(key, lake.store.read(key)[:-9])
        with pytest.raises(ledger.BrokenReceipt, match=f"{key} is no receipt of deliveries: .* Delete it"):
            lake.push(Shelf(), export())
        lake.store.delete(key)
        assert lake.push(Shelf(), export()).matches
