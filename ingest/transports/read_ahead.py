"""Reading objects that are far away ahead of their turn: many requests at once, in order, in bounded memory.

Requests for parts are `bucket_object`'s.
"""

import io
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import BinaryIO

from ingest.objects import RawObject
from ingest.transports.bucket_object import PART_BYTES, open_parts

AT_ONCE = 16  # requests; one of S3's answers takes some 30 ms, so small objects come at hundreds a second
HELD_BYTES = 64 << 20  # asked for and not yet read
_MOST_PARTS = 512  # so that ten thousand empty objects are not all asked for at once


@dataclass(frozen=True)
class _Ahead:
    """A part that was asked for: of which object, from where, how long."""

    number: int
    begin: int
    size: int
    answer: "Future[bytes]"


def read_ahead(objects: Sequence[RawObject]) -> Iterator[RawObject]:
    """Yield objects as they are given; those that come in parts are asked for while earlier ones are read.

    One is read after the other, each before the next one is taken. What was asked for and is not read is dropped.
    """
    if not any(each.part for each in objects):
        yield from objects
        return
    pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="read")
    try:
        window = _Window(objects, pool)
        for number, each in enumerate(objects):
            yield replace(each, open=partial(window.open, number)) if each.part else each
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class _Window:
    """The parts that are asked for now. It is used by one thread, the reader's."""

    def __init__(self, objects: Sequence[RawObject], pool: ThreadPoolExecutor) -> None:
        self._objects, self._pool = objects, pool
        self._coming = self._parts()
        self._next = next(self._coming, None)
        self._ahead: deque[_Ahead] = deque()
        self._held = 0

    def open(self, number: int) -> BinaryIO:
        """Return the file of an object; its first part is waited for. Raises as the object's `part` does."""
        each = self._objects[number]
        if each.size <= PART_BYTES:
            return io.BytesIO(self._take(number, 0, each.size) if each.size else b"")
        return open_parts(partial(self._take, number), each.size)

    def _take(self, number: int, begin: int, end: int) -> bytes:
        self._fill()
        while self._ahead and (self._ahead[0].number, self._ahead[0].begin) < (number, begin):
            self._drop()
        if not self._ahead or (self._ahead[0].number, self._ahead[0].begin) != (number, begin):
            part = self._objects[number].part  # it is read a second time, from its start
            assert part is not None
            return part(begin, end)
        first = self._ahead.popleft()
        self._held -= first.size
        self._fill()
        return first.answer.result()

    def _drop(self) -> None:
        first = self._ahead.popleft()
        self._held -= first.size
        first.answer.cancel()

    def _fill(self) -> None:
        while self._next is not None and len(self._ahead) < _MOST_PARTS:
            number, begin, end = self._next
            if self._ahead and self._held + end - begin > HELD_BYTES:
                return
            part = self._objects[number].part
            assert part is not None
            self._ahead.append(_Ahead(number, begin, end - begin, self._pool.submit(part, begin, end)))
            self._held += end - begin
            self._next = next(self._coming, None)

    def _parts(self) -> Iterator[tuple[int, int, int]]:
        for number, each in enumerate(self._objects):
            if each.part:
                for begin in range(0, each.size, PART_BYTES):
                    yield number, begin, min(begin + PART_BYTES, each.size)
