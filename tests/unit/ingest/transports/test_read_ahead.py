"""Reading ahead: every byte in order, many requests at once, no more in memory than allowed, nothing after the end."""

import threading
from datetime import UTC, datetime

import pytest

from ingest.objects import ObjectGone, RawObject
from ingest.transports import read_ahead as module
from ingest.transports.bucket_object import PART_BYTES, open_parts
from ingest.transports.read_ahead import read_ahead


class Far:
    """Objects far away, which remember what was asked of them. Bytes tell their object and place."""

    def __init__(self, *sizes: int, gone: int = -1, together: int = 0) -> None:
        self.sizes, self.gone = sizes, gone
        self.asked: list[tuple[int, int, int]] = []
        self.lock = threading.Lock()
        self.together = threading.Barrier(together) if together else None

    def objects(self) -> list[RawObject]:
        return [self._object(number, size) for number, size in enumerate(self.sizes)]

    def _object(self, number: int, size: int) -> RawObject:
        def part(begin: int, end: int) -> bytes:
            with self.lock:
                self.asked.append((number, begin, end))
            if self.together:
                self.together.wait(20)
            if number == self.gone:
                raise ObjectGone("deleted")
            return self.content(number)[begin:end]

        arrived = datetime(2026, 3, 2, tzinfo=UTC)
        return RawObject(f"o{number}", lambda: open_parts(part, size), size, arrived, "x", part)

    def content(self, number: int) -> bytes:
        return bytes([number + 1]) * self.sizes[number]


def test_objects_come_whole_and_in_order() -> None:
    far = Far(20, 0, PART_BYTES * 2 + 5, 7)
    read = []
    for each in read_ahead(far.objects()):
        with each.open() as file:
            read.append(file.read())
    assert [far.content(number) for number in range(4)] == read
    assert len(far.asked) == len(set(far.asked)) == 5


def test_many_are_asked_for_at_once() -> None:
    far = Far(*[10] * module.AT_ONCE, together=module.AT_ONCE)  # each answer waits until all are asked for
    assert [b"".join(each.open()) for each in read_ahead(far.objects())] == [
        far.content(n) for n in range(len(far.sizes))
    ]


def test_no_more_is_asked_for_than_memory_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HELD_BYTES", 100)
    far = Far(*[40] * 20)
    for number, each in enumerate(read_ahead(far.objects())):
        with each.open() as file:
            file.read()
        most = max((asked for asked, _, _ in far.asked), default=0)
        assert most <= number + 3  # two in waiting, and the one that is read


def test_an_object_that_is_gone_says_so_at_its_turn_and_others_follow() -> None:
    far = Far(5, 6, 7, gone=1)
    read: list[bytes | str] = []
    for each in read_ahead(far.objects()):
        try:
            with each.open() as file:
                read.append(file.read())
        except ObjectGone as gone:
            read.append(str(gone))
    assert [far.content(0), "deleted", far.content(2)] == read


def test_what_nobody_reads_is_passed_over_and_what_is_read_twice_is_asked_for_again() -> None:
    far = Far(5, PART_BYTES + 1, 7)
    iterator = read_ahead(far.objects())
    first = next(iterator)
    assert far.content(0) == first.open().read() == first.open().read()
    with next(iterator).open() as file:
        file.read(3)
    assert far.content(2) == next(iterator).open().read()
    iterator.close()


def test_objects_of_this_machine_are_given_as_they_are() -> None:
    near = RawObject("near", lambda: open_parts(lambda a, b: b"", 0), 0, datetime(2026, 3, 2, tzinfo=UTC), "x")
    threads = threading.active_count()
    assert [near, near] == list(read_ahead([near, near]))
    assert threads == threading.active_count()
