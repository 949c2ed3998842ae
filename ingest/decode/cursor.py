"""A place in the text of one object: what has been read ahead, where it lies, and how the object ends.

Belongs here: reading on, taking, giving back. Not here: what the text means.
"""

from __future__ import annotations

from collections.abc import Iterator

from ingest.decode.compression import Broken


class Cursor:
    """Read-ahead over the chunks of one object.

    `data` is the text at hand, `offset` its place in the decoded object, `broken` the sentence that says why the
    object ends too early (None while it has not, and if it ends well).
    """

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self.data = b""
        self.offset = 0
        self.ended = False
        self.broken: str | None = None

    def fill(self, wanted: int = 1) -> bool:
        """Read on until `wanted` more bytes (at least one) are at hand; False if the object has no more."""
        parts = [self.data]
        added = 0
        while added < max(1, wanted) and not self.ended:
            part = self._next()
            parts.append(part)
            added += len(part)
        if added:
            self.data = b"".join(parts) if self.data else b"".join(parts[1:]) if len(parts) > 2 else parts[1]
        return added > 0

    def _next(self) -> bytes:
        try:
            return next(self._chunks)
        except StopIteration:
            self.ended = True
        except Broken as error:
            self.ended, self.broken = True, str(error)
        return b""

    def take(self, count: int) -> bytes:
        """The next `count` bytes at hand, and past them."""
        taken = self.data if count == len(self.data) else self.data[:count]
        self.data = self.data[count:]
        self.offset += count
        return taken

    def give_back(self, text: bytes) -> None:
        """Put text that was taken in front again."""
        self.data = text + self.data
        self.offset -= len(text)

    def skip(self, blanks: bytes) -> bool:
        """Past all `blanks`; False if nothing else is left in the object."""
        while True:
            rest = self.data.lstrip(blanks)
            self.offset += len(self.data) - len(rest)
            self.data = rest
            if rest:
                return True
            if not self.fill():
                return False

    def fill_line(self, limit: int) -> int:
        """Read on until a line is whole: its length without the line end, or -1 if it is longer than `limit` or the
        object ends first."""
        end = self.data.find(b"\n")
        held, parts = len(self.data), [self.data]
        while end < 0 and held <= limit and not self.ended:
            part = self._next()
            at = part.find(b"\n")
            end = held + at if at >= 0 else -1
            parts.append(part)
            held += len(part)
        if len(parts) > 1:
            self.data = b"".join(parts)
        return end

    def rest_of_line(self) -> Iterator[bytes]:
        """The line at hand in parts, without its line end; afterwards the next line is at hand."""
        while True:
            end = self.data.find(b"\n")
            if end >= 0:
                yield self.take(end)
                self.take(1)
                return
            yield self.take(len(self.data))
            if not self.fill():
                return
