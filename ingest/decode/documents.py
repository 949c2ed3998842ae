"""JSON documents: the records of a sound one in memory; the texts of a stream, and the cursor that reads one of them.

A document is an array, an envelope such as `{"Records": [...]}`, or a plain record. Damaged, cut off or larger ones go
through `salvage` and `splitter`, which give the same records.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from itertools import chain
from typing import Any

import msgspec
import numpy as np

from ingest.decode.records import BLANKS, JSON_FORM, LOOKED_BACK, Broken, Limits, Offsets, Piece, peek, problem_piece

# A list of very many tiny elements would cost 60 bytes and more of memory for each; it is split block by block instead.
MAX_COMMAS = 4_000_000
# Characters of keys from rare in JSON logs to frequent; what is not listed is rarer still.
_FREQUENT = b"QZXYJKWVHGFUBOLDMPNRCIASETzqjkxwvybhgfpmduclosnirtae"
_MARK_BYTE = codecs.BOM_UTF8[:1]
LIST_DECODER = msgspec.json.Decoder(list[msgspec.Raw])
ANY_DECODER = msgspec.json.Decoder(msgspec.Raw)

_IS_BLANK = np.zeros(256, dtype=np.bool_)
_IS_BLANK[[0x20, 0x09, 0x0D]] = True

# How what `wrapped` undoes begins. AWS writes messageType first; inside a text its quotation marks would be escaped.
SUBSCRIPTION_BEGIN = re.compile(rb'\{\s*"messageType"\s*:')
EXPORT_BEGIN = re.compile(rb"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ", re.MULTILINE)
EVENT_BEGIN = '{"version"'  # the first key of an event, by which others are passed by at next to no cost


def fault(text: bytes) -> str | None:
    """Why `text` is not one JSON text, or None. Text nested too deeply to be checked counts as a fault."""
    try:
        ANY_DECODER.decode(text)
    except msgspec.DecodeError as error:
        return str(error)
    except RecursionError:
        return "nested too deeply to be checked"
    return None


class Envelopes:
    """Knows under which top-level keys an envelope keeps its records."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        quoted = [f'"{key}"'.encode() for key in keys]
        self._patterns = [_pattern(key) for key in quoted]
        names = b"|".join(re.escape(key) for key in quoted)
        self._opening = re.compile(rb"\s*(?:%s)\s*:\s*" % names) if keys else None
        self._lists = _decoder(keys, list[msgspec.Raw])
        self._values = _decoder(keys, msgspec.Raw)
        self._fields = tuple(f"key_{number}" for number, _ in enumerate(keys))

    def mentioned(self, text: bytes) -> bool:
        """True if a key occurs anywhere in the text."""
        return next(self.places(text), None) is not None

    def places(self, text: bytes) -> Iterator[int]:
        """Places in the text where a key occurs."""
        for rare, pattern in self._patterns:
            if rare in text:
                yield from (found.start() for found in pattern.finditer(text))

    def opens(self, before: bytes) -> bool:
        """True if `before`, the text since the last top-level separator, is a key and its colon."""
        return self._opening is not None and self._opening.fullmatch(before) is not None

    def records(self, text: bytes) -> list[msgspec.Raw] | None:
        """The elements if `text` is a sound envelope whose keys each occur once; else None."""
        if not self.mentioned(text) or _may_be_many(text):
            return None
        try:
            envelope = self._lists.decode(text)
            found = [name for name in self._fields if getattr(envelope, name) is not msgspec.UNSET]
            if len(found) != 1 or self._repeated(text, found[0]):
                return None
            elements: list[msgspec.Raw] = getattr(envelope, found[0])
            return elements
        except (msgspec.DecodeError, RecursionError):
            return None

    def _repeated(self, text: bytes, field: str) -> bool:
        """True if a key also occurs outside the list: it could hide a list that only the splitter sees."""
        several = [(pattern, times) for _, pattern in self._patterns if (times := _times(pattern, text)) > 1]
        if not several:
            return False
        value = memoryview(getattr(self._values.decode(text), field))
        return any(times - _times(pattern, value) > 1 for pattern, times in several)


def _decoder(keys: tuple[str, ...], type_: Any) -> msgspec.json.Decoder[Any]:
    """A decoder of objects that takes the values of some keys, of `type_` if they are there, and passes by the rest."""
    shape = msgspec.defstruct(
        "Envelope",
        [(f"key_{number}", type_ | msgspec.UnsetType, msgspec.UNSET) for number, _ in enumerate(keys)],
        rename={f"key_{number}": key for number, key in enumerate(keys)},
    )
    return msgspec.json.Decoder(shape)


def _may_be_many(text: bytes) -> bool:
    """True if a list in the text could have more elements than are taken at once; the smallest one takes two bytes."""
    return len(text) > 2 * MAX_COMMAS and text.count(b",") > MAX_COMMAS


def _pattern(quoted: bytes) -> tuple[bytes, re.Pattern[bytes]]:
    """The rarest character of a quoted key, and a pattern that looks for this one first.

    Measured on CloudTrail lines for "Records": the key with `in` 0.7 GB/s, the pattern 3 GB/s, the character with
    `in` 80 GB/s.
    """
    at = min(range(1, len(quoted) - 1), key=lambda place: _FREQUENT.find(quoted[place]), default=0)
    before, rare, after = quoted[: at + 1], quoted[at : at + 1], quoted[at + 1 :]
    return rare, re.compile(re.escape(rare) + b"(?<=" + re.escape(before) + b")(?=" + re.escape(after) + b")")


def _times(pattern: re.Pattern[bytes], text: bytes | memoryview) -> int:
    return sum(1 for _ in pattern.finditer(text))


def records_of(text: bytes, envelopes: Envelopes) -> list[msgspec.Raw] | None:
    """The records of a whole document that begins with a bracket; None if it is damaged or better split."""
    if text.lstrip(BLANKS)[:1] == b"{":
        elements = envelopes.records(text)
        if elements is not None or envelopes.mentioned(text):
            return elements
    try:
        if text.lstrip(BLANKS)[:1] != b"[":
            return [ANY_DECODER.decode(text)]
        return None if _may_be_many(text) else LIST_DECODER.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None


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


class TextFramer:
    """Cuts the text of one object into records, as a subclass says. `count` is their number so far."""

    form = JSON_FORM
    header = ""

    def __init__(self, chunks: Iterator[bytes], limits: Limits) -> None:
        self._cursor = Cursor(chunks)
        self._limits = limits
        self.count = 0

    def pieces(self) -> Iterator[Piece]:
        """All records in order, each with its text as delivered; a truncated object ends with truncated_object."""
        yield from self._cut()
        if self._cursor.broken is not None:
            self.count += 1
            yield problem_piece(b"", "truncated_object", self._cursor.broken)
            self._cursor.broken = None

    def _cut(self) -> Iterator[Piece]:
        raise NotImplementedError

    def _counted(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        for part in pieces:
            self.count += len(part.lines)
            yield part


def lines_of(block: bytes) -> tuple[bytes, Offsets, int]:
    """The records of a block of whole lines: their text one behind the other, their offsets, and how many lines are
    records. Blank lines are none. The number is that of the line ends taken out, not that of the offsets.
    """
    if not block.endswith(b"\n"):
        block += b"\n"
    if b"\r" in block:
        block = block.replace(b"\r\n", b"\n")
    ends = np.flatnonzero(np.frombuffer(block, dtype=np.uint8) == 0x0A)
    text = block.replace(b"\n", b"")
    line_count = len(block) - len(text)
    offsets = np.zeros(len(ends) + 1, dtype=np.int32)
    offsets[1:] = ends - np.arange(len(ends))
    blank = np.diff(offsets) == 0
    empty = int(blank.sum())
    if empty:
        offsets = offsets[np.append(~blank, True)]
    return _without_blank(text, offsets, line_count - empty)


def _without_blank(text: bytes, offsets: Offsets, count: int) -> tuple[bytes, Offsets, int]:
    """Drop lines of nothing but spaces and tabs; only lines that begin with one are looked at."""
    firsts = np.frombuffer(text, dtype=np.uint8)[offsets[:-1]]
    suspects = np.flatnonzero(_IS_BLANK[firsts])
    drop = [at for at in suspects.tolist() if not text[offsets[at] : offsets[at + 1]].strip(BLANKS)]
    if not drop:
        return text, offsets, count
    sizes = np.diff(offsets)
    keep = np.ones(len(sizes), dtype=np.bool_)
    keep[drop] = False
    bytes_kept = np.frombuffer(text, dtype=np.uint8)[np.repeat(keep, sizes)]
    kept = np.zeros(int(keep.sum()) + 1, dtype=np.int32)
    np.cumsum(sizes[keep], out=kept[1:])
    return bytes_kept.tobytes(), kept, count - len(drop)


def has_lines(cursor: Cursor, limit: int) -> bool:
    """True if the text at hand, which is not blank, is a series of one-line records; lines above `limit` are none."""
    end = cursor.fill_line(limit)
    if end < 0:
        return cursor.data[:1] not in (b"{", b"[")
    first = cursor.data[:end]
    if first[:1] not in (b"{", b"["):
        return True
    if fault(first) is None:
        return first[:1] == b"{" or _something_follows(cursor, end)
    if first[:1] == b"[" or first.rstrip(BLANKS)[-1:] in b"[{,:":
        return False
    return not _something_follows(cursor, end) or _next_line_is_whole(cursor, end, limit)


def _something_follows(cursor: Cursor, end: int) -> bool:
    while not cursor.data[end:].strip(BLANKS):
        end = len(cursor.data)
        if not cursor.fill():
            return False
    return True


def _next_line_is_whole(cursor: Cursor, end: int, limit: int) -> bool:
    """True if the line after a damaged one, which ends at `end`, is a whole record."""
    while True:
        follows = cursor.data[end:].lstrip(BLANKS)
        stop = follows.find(b"\n")
        if stop >= 0 or len(follows) > limit or not cursor.fill():
            line = follows[:stop] if stop >= 0 else follows
            return line[:1] == b"{" and fault(line) is None


class Texts:
    """The texts of a stream, one after the other, each in UTF-8 without its mark and to be read before the next one.

    A byte order mark begins a text, wherever it stands: files that were put one behind the other keep theirs.
    """

    def __init__(self, plain: Iterator[bytes]) -> None:
        head, plain = peek(plain, 4)
        self._plain: Iterator[bytes] | None = _checked(plain, _may_be_wide(head))

    def __iter__(self) -> Iterator[Iterator[bytes]]:
        while self._plain is not None:
            plain, self._plain = self._plain, None
            yield self._until_mark(plain)

    def _until_mark(self, plain: Iterator[bytes]) -> Iterator[bytes]:
        head, plain = peek(plain, 3)
        if head == codecs.BOM_UTF8:
            plain = _without(plain, 3)
        before = b""
        for chunk in plain:
            if not chunk.isascii() and _MARK_BYTE in chunk:
                while chunk.endswith((codecs.BOM_UTF8[:1], codecs.BOM_UTF8[:2])) and (more := next(plain, b"")):
                    chunk += more  # the end may be half a mark
                from ingest.decode.marks import begin_of_text

                at = begin_of_text(before, chunk, len(before) < LOOKED_BACK)
                if at >= 0:
                    yield chunk[:at]
                    self._plain = chain((chunk[at:],), plain)
                    return
            yield chunk
            before = chunk if len(chunk) >= LOOKED_BACK else (before + chunk)[-LOOKED_BACK:]


def _may_be_wide(head: bytes) -> bool:
    """Whether a text may be in another encoding than UTF-8 by its first bytes."""
    return b"\0" in head or head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def _checked(plain: Iterator[bytes], wide: bool) -> Iterator[bytes]:
    """The stream in UTF-8; bytes that UTF-8 never has may be the mark of another encoding."""
    for chunk in plain:
        if wide or chunk.endswith(b"\0") or (not chunk.isascii() and (b"\xff" in chunk or b"\xfe" in chunk)):
            from ingest.decode.marks import utf8

            yield from utf8(chain((chunk,), plain), from_start=wide)
            return
        yield chunk


def _without(plain: Iterator[bytes], count: int) -> Iterator[bytes]:
    yield next(plain)[count:]
    yield from plain
