"""What goes wrong while hours are pushed: each fault is told, and the next push makes it right."""

import errno
import threading

import duckdb
import msgspec
import pytest

from lake import ledger
from lake.export import push
from lake.export.declaration import Export
from lake.export.errors import DestinationDenied, DestinationUnavailable, ExportError, RowsRefused
from lake.export.push import Pushed, push_hours
from lake.export.status import CHANGED, NEVER
from lake.ledger import build_receipts
from lake.ledger.export_receipts import exported
from lake.storage import paths
from lake.storage.aws import StoreUnavailable
from lake.storage.publish import Change, Overtaken
from lake.storage.store import Lease, LostLock
from tests.unit.export.lakes import EVENT, HOUR, OKTA, SmallLake, export
from tests.unit.export.shelf import Shelf
from tests.unit.export.test_push import there

NEXT = "2026-03-02T05"


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
        assert ("doctor --repair" in first.failed, first.lasting, second.failed) == (True, True, "")

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
        with pytest.raises(ledger.BrokenReceipt, match=f"{key} cannot be read: .* doctor --repair`"):
            lake.push(Shelf(), export())
        lake.store.delete(key)
        assert lake.push(Shelf(), export()).matches
