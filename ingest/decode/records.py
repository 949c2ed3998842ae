"""Record texts as Arrow: pieces of one object, batches of many pieces; the limits of decoding and what it counts.

Text that is not UTF-8 gets a notation that loses nothing. Whole blocks of lines become pieces without Python per line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

MIB = 1024 * 1024
# `object` is dictionary-encoded, with its own dictionary in each batch; DuckDB reads it as VARCHAR.
SCHEMA = pa.schema(
    [
        pa.field("line", pa.utf8(), nullable=False),
        pa.field("object", pa.dictionary(pa.int32(), pa.utf8()), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
        pa.field("problem", pa.utf8()),
        pa.field("detail", pa.utf8()),
    ]
)

# Added where a batch has records that were not delivered as JSON: their texts, of which `line` is the JSON; else NULL.
RAW = pa.field("raw", pa.utf8())

# The form of a batch's records, in the metadata of its schema: absent for JSON, else `LINES` and the header line.
FORM = b"form"
JSON_FORM, LINES = b"json", b"lines:"
BLANKS = b" \t\r\n"
# How deep a record may nest. What reads JSON by recursion dies of the stack at some thousand levels, Python's readers
# stop at one thousand, BigQuery takes 500; the deepest logs we know have 30.
MAX_DEPTH = 200
_TEXT = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_ESCAPE = re.compile(rb"\\\\|\\x[0-9a-f]{2}")

Problem = tuple[str, str]  # reason code, sentence
Offsets = npt.NDArray[np.int32]
LOOKED_BACK = 64 << 10  # of the line before a byte order mark


class Broken(Exception):
    """The bytes end here although more was promised. Raised after everything readable was given; says where and why."""


@dataclass(frozen=True)
class Limits:
    """Sizes in bytes of decoded text that bound the memory used; peak use is a small multiple of `max_document_bytes`.

    `chunk_bytes`: about the size of one emitted batch. `max_record_bytes`: a longer record is
    cut and reported as too_large. `max_document_bytes`: a longer envelope or array is split as it streams by.
    """

    chunk_bytes: int = 16 * MIB
    max_record_bytes: int = 16 * MIB
    max_document_bytes: int = 64 * MIB

    def __post_init__(self) -> None:
        for name in ("chunk_bytes", "max_record_bytes", "max_document_bytes"):
            value = getattr(self, name)
            if not 1 <= value <= 256 * MIB:
                raise ValueError(f"{name} must be between 1 byte and 256 MiB, found {value}")


@dataclass
class ObjectCount:
    """What one object contains: `bytes` as stored, `records` over all its members."""

    arrived_at: datetime
    fingerprint: str
    bytes: int = 0
    records: int = 0


@dataclass
class DecodeReport:
    """Counts of one decode, filled while its batches are read and final when the last one has been.

    `bytes_read` is as stored (compressed), `bytes_decoded` after decompression. `records` is counted where text is cut
    into records, not from the batches: it is the "read" side of the conservation equation. `members` leads from a
    value of the `object` column to the object it came from where the two differ (members of zip archives). `gone` are
    objects that were no longer there when their turn came; they stand in `ignored` too, with the reason. `refused` are
    (name, why) of objects that are there and were not given.
    """

    bytes_read: int = 0
    bytes_decoded: int = 0
    records: int = 0
    objects: dict[str, ObjectCount] = field(default_factory=dict)
    members: dict[str, str] = field(default_factory=dict)
    ignored: list[tuple[str, str]] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def object_of(self, name: str) -> str:
        """Return the object that holds a record's `object` name; for a member of a zip that is the zip."""
        return self.members.get(name, name)

    def arrivals(self, names: pa.Array) -> pa.Array:
        """Return when the objects of some records arrived (timestamp, µs, UTC without zone), by their names."""
        encoded = names if pa.types.is_dictionary(names.type) else pc.dictionary_encode(names)
        found = [self.objects[self.object_of(name)].arrived_at for name in encoded.dictionary.to_pylist()]
        instants = pa.array([each.astimezone(UTC).replace(tzinfo=None) for each in found], pa.timestamp("us"))
        return instants.take(encoded.indices)


@dataclass(frozen=True)
class Piece:
    """Consecutive records of one object: their texts, and what is wrong with some of them by position.

    `raw` are the texts as delivered of those whose line was made of it.
    """

    lines: pa.StringArray
    problems: dict[int, Problem] = field(default_factory=dict)
    raw: pa.StringArray | None = None


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


def piece(text: bytes, offsets: Offsets) -> Piece:
    """Records one behind the other in `text`: record i is text[offsets[i]:offsets[i + 1]]. Clean text is not copied."""
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(text)]
    if text.isascii() and b"\0" not in text:
        return Piece(pa.Array.from_buffers(pa.utf8(), len(offsets) - 1, buffers))
    raw = pa.Array.from_buffers(pa.binary(), len(offsets) - 1, buffers)
    if b"\0" not in text:
        try:
            return Piece(raw.cast(pa.utf8()))
        except pa.ArrowInvalid:
            pass
    return _mended(text, offsets, raw)


def _mended(text: bytes, offsets: Offsets, raw: pa.BinaryArray) -> Piece:
    """The same records, those escaped that are no UTF-8. Only records with bytes above 0x7F or NUL are looked at."""
    codes = np.frombuffer(text, dtype=np.uint8)
    places = np.flatnonzero((codes >= 0x80) | (codes == 0))
    texts: list[str] = []
    changed = np.zeros(len(raw), dtype=np.bool_)
    problems: dict[int, Problem] = {}
    for row in np.unique(np.searchsorted(offsets, places, side="right") - 1).tolist():
        mended, wrong = readable(text[offsets[row] : offsets[row + 1]])
        if wrong is not None:
            problems[row] = ("not_json", wrong)
            texts.append(mended)
            changed[row] = True
    mended_lines = pc.replace_with_mask(raw, pa.array(changed), pa.array(texts, pa.utf8()).cast(pa.binary()))
    return Piece(mended_lines.cast(pa.utf8()), problems)


def piece_of(records: Sequence[bytes | msgspec.Raw]) -> Piece:
    """Records given one by one."""
    sizes = np.fromiter(map(len, records), dtype=np.int64, count=len(records))
    offsets = np.zeros(len(records) + 1, dtype=np.int32)
    np.cumsum(sizes, out=offsets[1:])
    return piece(b"".join(records), offsets)


def problem_piece(raw: bytes, reason: str, detail: str) -> Piece:
    """One record that decoding found wrong."""
    text, wrong = readable(raw)
    return Piece(pa.array([text], pa.utf8()), {0: (reason, f"{detail}; {wrong}" if wrong else detail)})


def too_large(head: bytes, size: int, begin: int) -> Piece:
    """A record of `size` bytes at byte `begin` of the decoded object, of which only `head` is kept."""
    kept = cut_at_character(head)
    detail = f"{size:,} bytes; first {len(kept):,} kept; bytes {begin:,} to {begin + size:,} of the decoded object"
    return problem_piece(kept, "too_large", detail)


def runs(text: bytes, offsets: Offsets, special: list[int]) -> Iterator[Piece | bytes]:
    """The records in order: unbroken runs as pieces, and the text of each record whose index is in `special`."""
    begin = 0
    for at in [*special, len(offsets) - 1]:
        if at > begin:
            first, last = int(offsets[begin]), int(offsets[at])
            whole = first == 0 and last == len(text)
            yield piece(text if whole else text[first:last], (offsets[begin : at + 1] - first).astype(np.int32))
        if at < len(offsets) - 1:
            yield text[offsets[at] : offsets[at + 1]]
        begin = at + 1


def rows_at(offsets: Offsets, places: Iterable[int]) -> list[int]:
    """Indexes of the records in which the places lie."""
    found = list(places)
    if not found:
        return []
    rows: list[int] = np.unique(np.searchsorted(offsets, found, side="right") - 1).tolist()
    return rows


def longer_than(offsets: Offsets, limit: int) -> list[int]:
    """Indexes of the records with more than `limit` bytes."""
    rows: list[int] = np.flatnonzero(np.diff(offsets) > limit).tolist()
    return rows


def depth_of(text: bytes) -> int:
    """How many objects and lists stand inside each other, at most. Brackets in texts are none."""
    codes = np.frombuffer(_TEXT.sub(b"", text), dtype=np.uint8) | 0x20  # `[` is `{` then, and `]` is `}`
    steps = (codes == 0x7B).astype(np.int32) - (codes == 0x7D)
    return int(np.cumsum(steps).max(initial=0))


class DepthCheck:
    """Finds the records that nest too deep. It keeps its memory, for asking for some takes longer than looking."""

    def __init__(self) -> None:
        self._folded = np.empty(0, dtype=np.uint8)
        self._opening = np.empty(0, dtype=np.bool_)

    def problems(self, lines: pa.StringArray) -> dict[int, Problem]:
        """Return what is wrong with records, by position. Only those with as many opening brackets are looked at."""
        _, offsets, text = lines.buffers()
        bounds = np.frombuffer(offsets, dtype=np.int32)[lines.offset : lines.offset + len(lines) + 1]
        begin, size = int(bounds[0]), int(bounds[-1] - bounds[0])
        if not size:
            return {}
        if size > len(self._folded):
            self._folded, self._opening = np.empty(size, dtype=np.uint8), np.empty(size, dtype=np.bool_)
        folded, opening = self._folded[:size], self._opening[:size]
        np.bitwise_or(
            np.frombuffer(text, dtype=np.uint8, count=size, offset=begin), 0x20, out=folded
        )  # `[` is `{` then
        np.equal(folded, 0x7B, out=opening)
        before = np.searchsorted(np.flatnonzero(opening), bounds - begin)
        found = {}
        for row in np.flatnonzero(np.diff(before) > MAX_DEPTH).tolist():
            depth = depth_of(text[int(bounds[row]) : int(bounds[row + 1])].to_pybytes())
            if depth > MAX_DEPTH:
                why = f"{depth:,} objects and lists inside each other; at most {MAX_DEPTH} are read"
                found[row] = ("too_deep", why)
        return found


class Batches:
    """Collects pieces and gives batches of about `chunk_bytes` of text, whatever the size of the objects.

    All records of a batch are written in one form, which the batch's schema names as `FORM` in its metadata.
    """

    def __init__(self, chunk_bytes: int) -> None:
        self._chunk_bytes = chunk_bytes
        self._pending: list[tuple[str, int, Piece]] = []
        self._bytes = 0
        self._form = JSON_FORM
        self._depth = DepthCheck()

    def add(self, name: str, first_row: int, part: Piece, form: bytes = JSON_FORM) -> Iterator[pa.RecordBatch]:
        """Take a piece of object `name` whose first record has the number `first_row`; gives a batch when full."""
        size = part.lines.nbytes + 64 + (part.raw.nbytes if part.raw is not None else 0)
        if self._pending and (self._bytes + size > self._chunk_bytes or form != self._form):
            yield self._batch()
        self._form = form
        self._pending.append((name, first_row, part))
        self._bytes += size
        if self._bytes >= self._chunk_bytes:
            yield self._batch()

    def rest(self) -> Iterator[pa.RecordBatch]:
        """The last batch, if anything is left."""
        if self._pending:
            yield self._batch()

    def _batch(self) -> pa.RecordBatch:
        pending, self._pending, self._bytes = self._pending, [], 0
        counts = [len(part.lines) for _, _, part in pending]
        total = sum(counts)
        lines = [part.lines for _, _, part in pending]
        names = list(dict.fromkeys(name for name, _, _ in pending))
        place = {name: index for index, name in enumerate(names)}
        index = np.repeat(np.array([place[name] for name, _, _ in pending], dtype=np.int32), counts)
        starts = np.array([first for _, first, _ in pending], dtype=np.int64) - (np.cumsum(counts) - counts)
        rows = np.arange(total, dtype=np.int64) + np.repeat(starts, counts)
        joined = lines[0] if len(lines) == 1 else pa.concat_arrays(lines)
        deep = self._depth.problems(joined) if self._form == JSON_FORM else {}
        reasons, details = _problem_columns(pending, total, deep)
        columns = [
            joined,
            pa.DictionaryArray.from_arrays(pa.array(index), pa.array(names, pa.utf8())),
            pa.array(rows),
            reasons,
            details,
        ]
        schema = SCHEMA if self._form == JSON_FORM else SCHEMA.with_metadata({FORM: self._form})
        if any(part.raw is not None for _, _, part in pending):
            columns.append(pa.concat_arrays([_raw_texts(part) for _, _, part in pending]))
            schema = schema.append(RAW)
        return pa.record_batch(columns, schema=schema)


def _raw_texts(part: Piece) -> pa.StringArray:
    return pa.nulls(len(part.lines), pa.utf8()) if part.raw is None else part.raw


def _problem_columns(
    pending: list[tuple[str, int, Piece]], total: int, more: dict[int, Problem]
) -> tuple[pa.Array, pa.Array]:
    if not more and not any(part.problems for _, _, part in pending):
        return pa.nulls(total, pa.utf8()), pa.nulls(total, pa.utf8())
    reasons: list[str | None] = [None] * total
    details: list[str | None] = [None] * total
    begin = 0
    for _, _, part in pending:
        for at, (reason, detail) in part.problems.items():
            reasons[begin + at], details[begin + at] = reason, detail
        begin += len(part.lines)
    for at, (reason, detail) in more.items():
        if reasons[at] in (None, "not_json"):  # what is nested too deep may have been called broken for that
            reasons[at], details[at] = reason, detail
    return pa.array(reasons, pa.utf8()), pa.array(details, pa.utf8())


def peek(chunks: Iterator[bytes], count: int) -> tuple[bytes, Iterator[bytes]]:
    """The first `count` bytes (fewer at the end) and the same stream from its start. Broken is kept for its place."""
    head = b""
    broken: Broken | None = None
    try:
        while len(head) < count:
            head += next(chunks)
    except StopIteration:
        pass
    except Broken as error:
        broken = error

    def again() -> Iterator[bytes]:
        if head:
            yield head
        if broken is not None:
            raise broken
        yield from chunks

    return head[:count], again()
