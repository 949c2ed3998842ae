"""Bytes of delivered objects to Arrow batches of raw record texts, in bounded memory, every byte accounted for.

`decode` is the whole interface. The parts, in the order in which bytes go through them: `compression` (stored bytes to
UTF-8), `Framer` with `documents` (text to records), `records` (records to Arrow, counts). Loaded when an object needs
them: `archive` (zip, Parquet), `wrapped` (records inside other services' documents), `lines` (records that are lines
of text), `xml_framer`, `windows_xml`, `windows_text` and `evtx` (Windows events in XML, as text and in binary logs),
`salvage` with `splitter` (several, damaged or huge documents). What a record means, and whether it keeps its contract,
is decided in landing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, BinaryIO, Final, cast

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from ingest.decode.compression import ObjectUnreadable, StoredFile, counted_bytes, decompressed, gathered, opened
from ingest.decode.documents import (
    EVENT_BEGIN,
    EXPORT_BEGIN,
    SUBSCRIPTION_BEGIN,
    Envelopes,
    TextFramer,
    Texts,
    has_lines,
    lines_of,
    records_of,
)
from ingest.decode.records import (
    BLANKS,
    RAW,
    SCHEMA,
    Batches,
    DecodeReport,
    Limits,
    ObjectCount,
    Piece,
    longer_than,
    peek,
    piece_of,
    problem_piece,
    rows_at,
    runs,
    too_large,
    unescaped,
)
from ingest.objects import RawObject

if TYPE_CHECKING:
    from ingest.decode.evtx import EventLog
    from ingest.decode.lines import LineForm, LineFramer
    from ingest.decode.salvage import Salvage
    from ingest.decode.windows_text import TextEventFramer
    from ingest.decode.xml_framer import XmlFramer

    AnyFramer = EventLog | LineFramer | TextEventFramer | XmlFramer

# How much is read ahead. Not a matter of speed: 256 KiB, 1 MiB and 16 MiB were equal within noise on NDJSON lines of
# 585 bytes (3 runs each, 680 to 1,080 MB/s of processor time on a busy machine).
BLOCK_BYTES = 1 << 20
CLOUDWATCH_LOGS: Final = "cloudwatch_logs"
# What a record holds that may be a wrapper of this name: by its begin, or anywhere in it.
_WRAPPED_BEGINS: Final = {"eventbridge": EVENT_BEGIN}
_WRAPPED_MARKS: Final = {"event_hook": "com.okta.event_hook", "splunk_hec": '"sourcetype"'}
# What objects begin with that hold records, by the wrapper's name.
_INSIDE_MARKS: Final = (
    ("event_hook", b"com.okta.event_hook"),
    ("message", b'"message"'),
    ("message", b'"log"'),
    ("message", b'original"'),
)
_SNIFFED_BYTES = 512
# Text that is no archive of printable letters, and has no control character at its begin, is never looked at further.
_MAY_BE_PACKED = re.compile(
    rb"PK|PAR1|07070|!<arch>|%PDF|age-|-----BEGIN|Salted|.*?[\0-\x08\x0e-\x1f\x7f-\xff]", re.DOTALL
)
# A Windows event in a text, or in a text of JSON. Two patterns: together they take nine times as long.
_EVENT = re.compile(rb"<(?:Event|UserData|DataItem|[A-Za-z_][\w.-]{0,30}:Event)")
_ESCAPED_EVENT = re.compile(rb"u003[cC](?:Event|UserData|DataItem)")
_MAY_BE_XML = re.compile(
    rb"""\s*(?!\s|\[|\{\s*["}])(?:<[^\d]|.*?</?[A-Za-z])""", re.DOTALL
)  # what begins as JSON is none
_IS_RENDERED = re.compile(rb"\s*(?:\d\d?/\d\d?/\d{4} \d[\d:. ]+[AP]M\s+)?(?:LogName|EventCode|SourceName)=[^\n]+\s\w+=")

__all__ = ["RAW", "SCHEMA", "DecodeReport", "Limits", "ObjectCount", "ObjectUnreadable", "decode", "unescaped"]


def decode(
    objects: Iterable[RawObject],
    limits: Limits,
    records_keys: tuple[str, ...] = ("Records",),
    report: DecodeReport | None = None,
    lines: LineForm | None = None,
    wrappers: Collection[str] = (),
    xml: bool = False,
) -> Iterator[pa.RecordBatch]:
    """Batches (see `SCHEMA`) of the records of all objects, in order; small objects share a batch.

    Columns: `line`, the record's text without its line end (invalid UTF-8 in the notation of `records.escaped`, undone
    by `unescaped`); `object`, the object's name, for members of a zip archive `<object>!<member>`; `row`, the number of
    the record in the object or member, from 1; `problem`, NULL or truncated_object, too_large or not_json;
    `detail`, a sentence on the problem. A record without a problem need not be JSON: only what decoding could not
    avoid to see is judged here.

    `records_keys`: top-level keys whose list makes an object an envelope of records. `report` is filled on the way.
    `lines`: the source's records are lines of this form; what begins like JSON is read as JSON all the same, up to the
    next line of text, unless the form is `always`.
    The schema of a batch of lines says so in its metadata (`records.FORM`), with the header line of their objects.
    `wrappers`: what may stand around records, see `wrapped`. `xml`: records may be Windows events in XML, as text or
    in binary logs, see `windows_xml`, `windows_text` and `evtx`; a batch that has such records has the column `RAW`.

    No content raises. Raises ObjectUnreadable when an object cannot be opened or read; one that is gone or refused is
    reported.
    """
    report = report if report is not None else DecodeReport()
    batches = Batches(limits.chunk_bytes)
    envelopes = Envelopes(records_keys)
    for source in objects:
        stored = opened(source, report)
        if stored is None:
            continue
        count = report.objects.setdefault(source.name, ObjectCount(source.arrived_at, source.fingerprint))
        file = StoredFile(source.name, stored)
        with stored:
            try:
                for name, chunks in _streams(source, file, limits, report, xml):
                    row, header = 1, ""
                    texts: Iterable[Iterator[bytes] | EventLog] = (
                        Texts(counted_bytes(name, chunks, report)) if isinstance(chunks, Iterator) else (chunks,)
                    )
                    for text in texts:
                        for framer in _framers(text, limits, envelopes, lines, wrappers, header, xml):
                            for first_row, part in _pieces(framer, report, count, row):
                                inner = _details(part, wrappers) if wrappers else part
                                inner = _events(inner) if xml else inner
                                yield from batches.add(name, first_row, inner, framer.form)
                            row, header = row + framer.count, framer.header or header
            except (ObjectUnreadable, OSError, MemoryError):
                raise
            except Exception as problem:  # no content stops other objects: what follows is one record that is told
                report.records += 1
                count.records += 1
                why = f"{type(problem).__name__}: {problem}; the rest of the object, from byte {file.bytes_read:,}"
                yield from batches.add(source.name, count.records, problem_piece(b"", "unprocessable", why))
            if 0 <= (size := file.size()) < source.size:
                why = f"{source.name}: had {source.size:,} bytes when it was listed and {size:,} when it was read"
                why += ", of which the records landed" if count.records else ""
                report.refused.append((source.name, why))
            count.bytes += file.bytes_read
            if not count.records and any(name == source.name for name, _ in report.refused):
                del report.objects[source.name]  # it is as one that is not given, and is tried again
            report.bytes_read += file.bytes_read
    yield from batches.rest()


def _framers(
    plain: Iterator[bytes] | EventLog,
    limits: Limits,
    envelopes: Envelopes,
    lines: LineForm | None,
    wrappers: Collection[str],
    header: str,
    xml: bool,
) -> Iterator[Framer | AnyFramer]:
    """What cuts a text into records; several, one after the other, where JSON and lines alternate."""
    if not isinstance(plain, Iterator):
        yield plain
        return
    head, text = peek(plain, _SNIFFED_BYTES)
    subscribed = CLOUDWATCH_LOGS in wrappers
    if subscribed and EXPORT_BEGIN.match(head):
        from ingest.decode.wrapped import unstamped

        head, text = peek(unstamped(text), _SNIFFED_BYTES)
    may_alternate = lines is not None and not lines.always and head.lstrip(BLANKS)[:1] in (b"{", b"[")
    if subscribed and SUBSCRIPTION_BEGIN.match(head.lstrip(BLANKS)):
        from ingest.decode.wrapped import messages

        head, text = peek(messages(text, limits.max_document_bytes), _SNIFFED_BYTES)
        may_alternate = False
    begin = head.lstrip(BLANKS)
    if begin[:1] == b"{" and any(name in wrappers and mark in head for name, mark in _INSIDE_MARKS):
        from ingest.decode.wrapped import HOOK_BEGIN, MESSAGE_BEGIN, TEXT_BEGIN, inner_lines

        if HOOK_BEGIN.match(begin) or (MESSAGE_BEGIN if lines is None else TEXT_BEGIN).match(begin):
            text, may_alternate = inner_lines(text, limits.max_document_bytes, as_text=lines is not None), False
    if xml and _IS_RENDERED.match(head):
        from ingest.decode.windows_text import TextEventFramer

        yield TextEventFramer(text, limits)
        return
    if xml and _MAY_BE_XML.match(head):
        from ingest.decode.xml_framer import XmlFramer

        yield XmlFramer(text, head, limits)
        return
    if lines is None:
        yield Framer(text, limits, envelopes)
        return
    from ingest.decode.lines import framers_of

    of_json = partial(Framer, limits=limits, envelopes=envelopes) if may_alternate else None
    yield from framers_of(text, limits, lines, header, of_json)


def _details(part: Piece, wrappers: Collection[str]) -> Piece:
    """The same records; in the stead of a document that holds a single one, this one."""
    found = [pc.starts_with(part.lines, mark) for name, mark in _WRAPPED_BEGINS.items() if name in wrappers]
    found += [pc.match_substring(part.lines, mark) for name, mark in _WRAPPED_MARKS.items() if name in wrappers]
    for may_be in found:
        if pc.any(may_be).as_py():
            from ingest.decode.wrapped import details

            part = details(part, may_be)
    return part


def _events(part: Piece) -> Piece:
    """The same records; those in XML, or with XML in a text, as JSON."""
    text = memoryview(part.lines.buffers()[2] or b"")
    if part.raw is not None:  # made of a text already
        return part
    if not _EVENT.search(text) and not _ESCAPED_EVENT.search(text):
        return part
    from ingest.decode.windows_xml import as_json

    return as_json(part)


def _pieces(
    framer: Framer | AnyFramer, report: DecodeReport, count: ObjectCount, row: int
) -> Iterator[tuple[int, Piece]]:
    """The pieces of one text that hold records, each with the number of its first one; all records are counted.

    `row` is the number of the text's first record.
    """
    counted = 0
    for part in framer.pieces():
        report.records += framer.count - counted
        count.records += framer.count - counted
        counted = framer.count
        if len(part.lines):
            yield row, part
        row += len(part.lines)
    report.records += framer.count - counted
    count.records += framer.count - counted


def _streams(
    source: RawObject, file: StoredFile, limits: Limits, report: DecodeReport, xml: bool
) -> Iterator[tuple[str, Iterator[bytes] | EventLog]]:
    """The object's plain bytes under its name, or those of each of its members; a binary log cut into records."""
    block_bytes = min(limits.chunk_bytes, BLOCK_BYTES)
    magic, blocks = peek(file.blocks(block_bytes), 2)
    head, plain = peek(decompressed(blocks, source.size), _SNIFFED_BYTES)
    if not _MAY_BE_PACKED.match(head):
        yield source.name, gathered(plain, block_bytes)
        return
    from ingest.decode.containers import Unpacker  # few objects are archives, Parquet or UTF-16

    in_place = cast(BinaryIO, file) if magic == head[:2] and file.seekable() else None
    unpacker = Unpacker(source.name, source.size, block_bytes, report, limits if xml else None)
    yield from unpacker.streams(source.name, plain, in_place)


class Framer(TextFramer):
    """Cuts the text of one object into records.

    The content decides how: lines (NDJSON), one array, envelopes such as `{"Records": [...]}` (one a line or one an
    object), and JSON texts that go over several lines.
    """

    def __init__(self, chunks: Iterator[bytes], limits: Limits, envelopes: Envelopes) -> None:
        super().__init__(chunks, limits)
        self._envelopes = envelopes

    @cached_property
    def _salvage(self) -> Salvage:
        from ingest.decode.salvage import Salvage  # few objects are damaged, cut off or larger than memory

        return Salvage(self._cursor, self._limits, self._envelopes)

    def _cut(self) -> Iterator[Piece]:
        cursor = self._cursor
        while cursor.skip(BLANKS):
            if has_lines(cursor, self._limits.max_document_bytes):
                yield from self._lines()
            elif cursor.data[:1] in (b"{", b"["):
                yield from self._documents()
            else:
                yield from self._counted(self._salvage.odd_line())

    def _lines(self) -> Iterator[Piece]:
        cursor, limits = self._cursor, self._limits
        while True:
            cut = cursor.data.rfind(b"\n") + 1
            if cut:
                begin = cursor.offset
                yield from self._block(cursor.take(cut), begin)
            may_be_envelope = cursor.data[:64].lstrip(BLANKS)[:1] in (b"{", b"")
            limit = limits.max_document_bytes if may_be_envelope else limits.max_record_bytes
            if len(cursor.data) > limit:
                yield from self._counted(self._salvage.long_line())
            elif not cursor.fill(0 if cut else min(len(cursor.data), limit)):
                break
        begin = cursor.offset
        tail = cursor.take(len(cursor.data))
        if cursor.broken is not None:
            yield from self._broken_tail(tail, begin)
        elif tail:
            yield from self._block(tail, begin)

    def _block(self, block: bytes, begin: int) -> Iterator[Piece]:
        """Records of whole lines that start at byte `begin` of the decoded object."""
        text, offsets, count = lines_of(block)
        limit = self._limits.max_record_bytes
        special = set(rows_at(offsets, self._envelopes.places(text)))
        if len(text) > limit:
            special.update(longer_than(offsets, limit))
        self.count += count - len(special)
        for part in runs(text, offsets, sorted(special)):
            if isinstance(part, Piece):
                yield part
            else:
                yield from self._line(part, begin + max(0, block.find(part[:4096])))

    def _line(self, line: bytes, begin: int) -> Iterator[Piece]:
        """One line that is long or mentions an envelope's key."""
        if line.lstrip(BLANKS)[:1] == b"{" and self._envelopes.mentioned(line):
            elements = self._envelopes.records(line)
            if elements is not None:
                yield from self._elements(elements, begin)
                return
            pieces = self._split(line, begin, "not_json", "the line ends inside the document")
            if pieces is not None:
                yield from pieces
                return
        self.count += 1
        limit = self._limits.max_record_bytes
        yield piece_of([line]) if len(line) <= limit else too_large(line[:limit], len(line), begin)

    def _elements(self, elements: Sequence[msgspec.Raw], begin: int) -> Iterator[Piece]:
        """Records that were taken out of a sound document that starts at byte `begin`."""
        self.count += len(elements)
        limit = self._limits.max_record_bytes
        first = 0
        for at in [at for at, size in enumerate(map(len, elements)) if size > limit]:
            if at > first:
                yield piece_of(elements[first:at])
            yield too_large(bytes(memoryview(elements[at])[:limit]), len(elements[at]), begin)
            first = at + 1
        if first < len(elements):
            yield piece_of(elements[first:])

    def _split(self, text: bytes, begin: int, reason: str, why: str) -> list[Piece] | None:
        """Records of a damaged envelope or array at hand; None if the text holds no list of records."""
        found = self._salvage.split_text(text, begin, reason, why)
        if found is None:
            return None
        pieces, left, left_begin = found
        self.count += sum(len(part.lines) for part in pieces)
        if left:
            pieces.extend(self._line(left, left_begin))
        return pieces

    def _broken_tail(self, tail: bytes, begin: int) -> Iterator[Piece]:
        """The text after the last line end of a truncated object."""
        why, self._cursor.broken = self._cursor.broken or "", None
        if tail.lstrip(BLANKS)[:1] == b"{" and self._envelopes.mentioned(tail):
            pieces = self._split(tail, begin, "truncated_object", why)
            if pieces is not None:
                yield from pieces
                if any(reason == "truncated_object" for part in pieces for reason, _ in part.problems.values()):
                    return
                tail = b""
        self.count += 1
        limit = self._limits.max_record_bytes
        yield problem_piece(tail[:limit], "truncated_object", why)

    def _documents(self) -> Iterator[Piece]:
        """As many documents as are at hand; the text at hand begins with a bracket."""
        cursor, limits = self._cursor, self._limits
        if len(cursor.data) <= limits.max_document_bytes:
            cursor.fill(limits.max_document_bytes + 1 - len(cursor.data))
        whole = cursor.ended and cursor.broken is None and len(cursor.data) <= limits.max_document_bytes
        if whole and (records := records_of(cursor.data, self._envelopes)) is not None:
            yield from self._elements(records, cursor.offset)
            cursor.take(len(cursor.data))
            return
        documents, size = self._salvage.documents_at_hand()
        if size:
            yield from self._elements(documents, cursor.offset)
            cursor.take(size)
        else:
            yield from self._counted(self._salvage.one_document())
