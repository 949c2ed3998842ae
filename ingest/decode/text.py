"""The text of one object: bytes to UTF-8, a lossless notation for what is not text, and reading on through it."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from ingest.decode.compression import Broken, peek

_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_ESCAPE = re.compile(rb"\\\\|\\x[0-9a-f]{2}")


def utf8(plain: Iterator[bytes]) -> Iterator[bytes]:
    """The stream without its byte order mark, and in UTF-8 if the mark said UTF-16.

    Bytes that are not valid UTF-8 pass unchanged (a lone surrogate of UTF-16 becomes such bytes): the record that
    holds them is judged, not the object.
    """
    head, plain = peek(plain, 3)
    if head.startswith(codecs.BOM_UTF8):
        yield from _without(plain, 3)
    elif head[:2] in _UTF16:
        yield from _from_utf16(_without(plain, 2), _UTF16[head[:2]])
    else:
        yield from plain


def _without(plain: Iterator[bytes], count: int) -> Iterator[bytes]:
    yield next(plain)[count:]
    yield from plain


def _from_utf16(plain: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
    for block in plain:
        yield decoder.decode(block).encode("utf-8", "surrogatepass")
    left = decoder.getstate()[0]
    if left:
        raise Broken(f"UTF-16 text ends inside a character, after the bytes {left.hex(' ')}")


def escaped(raw: bytes) -> str:
    r"""Text for bytes that are not UTF-8: each bad byte as `\xNN`, each backslash doubled, so that nothing is lost."""
    return raw.replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")


def unescaped(text: str) -> bytes:
    """The bytes for which `escaped` gave this text."""
    return _ESCAPE.sub(lambda found: bytes.fromhex(found[0][2:].decode()) or b"\\", text.encode())


def readable(raw: bytes) -> tuple[str, str | None]:
    """The text of a record, and what is wrong with it as text: None, invalid UTF-8 (text escaped) or a NUL byte."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        bad = rf"invalid UTF-8 at byte {error.start + 1:,} (bad bytes are written \xNN, backslashes doubled)"
        return escaped(raw), bad
    at = raw.find(b"\0")
    return text, None if at < 0 else f"NUL byte at byte {at + 1:,}"


def cut_at_character(raw: bytes) -> bytes:
    """`raw` without a UTF-8 character that its end cuts in two."""
    for back in range(1, min(4, len(raw)) + 1):
        byte = raw[-back]
        if byte >= 0xC0:
            needs = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return raw[:-back] if needs > back else raw
        if byte < 0x80:
            return raw
    return raw


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


class Head:
    """The first `limit` bytes of a text that arrives in parts, and its whole size."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.kept = bytearray()
        self.size = 0

    def add(self, part: bytes) -> None:
        """Take the next part."""
        self.kept += part[: max(0, self._limit - len(self.kept))]
        self.size += len(part)

    def extend(self, other: Head) -> None:
        """Take another text, of which also only the head is there, as the next part."""
        self.add(bytes(other.kept))
        self.size += other.size - len(other.kept)
