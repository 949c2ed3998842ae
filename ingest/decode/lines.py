"""Objects of which every line is a record: delimited values and access logs, with the header that names the values.

Taking lines apart is the landing's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.decode.documents import Cursor, Head, lines_of
from ingest.decode.records import (
    BLANKS,
    LINES,
    Broken,
    Limits,
    Offsets,
    Piece,
    longer_than,
    piece_of,
    problem_piece,
    runs,
    too_large,
)

_T = TypeVar("_T")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_IS_LETTER = np.zeros(256, dtype=np.bool_)
_IS_LETTER[[*b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_"]] = True
_KNOWN = 3  # names that a header with many unknown ones must have
# What begins as JSON does, and a line that JSON has not: no bracket, quote, comma or blank in front, no bare value.
_JSON_BEGIN = re.compile(rb"[{\[][ \t\r\n]*(?:[\"{\[}\]]|\Z)")
_JSON_LINE = re.compile(rb"\n(?=[{\[][ \t\r\n]*[\"{\[}\]])")
_TEXT_LINE = re.compile(rb"\n(?![\s{}\[\]\",])(?!(?:[-+.0-9eE]+|true|false|null)[ \t\r]*,?[ \t\r]*\n)(?=.)")
_LOOKED_AHEAD = 4096  # bytes behind a line's begin that tell what it is


@dataclass(frozen=True)
class LineForm:
    """What decoding has to know of lines: the names that a header line may hold (lower case), and what parts them.

    Without `header_names` no header is looked for. `always`: lines also where the text begins like JSON.
    """

    delimiter: str = ""
    header_names: frozenset[str] = frozenset()
    always: bool = False

    @property
    def names_pattern(self) -> str:
        """A regular expression (RE2) of lines whose values all begin as names do."""
        name = f"[A-Za-z_][^{re.escape(self.delimiter)}]*"
        return f"^{name}(?:{re.escape(self.delimiter)}{name})*$"

    def is_header(self, line: str) -> bool:
        """Whether a line names fields: most of its values are known names, or all could be names and some are known.

        No value of a record is called `srcaddr`, and a record has values that are no names: numbers, addresses.
        """
        names = line.split(self.delimiter) if self.header_names else []
        known = sum(name.lower() in self.header_names for name in names)
        return known * 2 > len(names) or (known >= _KNOWN and all(_NAME.fullmatch(name) for name in names))


def begins_as_json(head: bytes) -> bool:
    """Whether a text begins as JSON does; a bracket in front of anything else is the begin of a bad line."""
    return _JSON_BEGIN.match(head[:_LOOKED_AHEAD].lstrip(BLANKS)) is not None


def alternating(chunks: Iterator[bytes]) -> Iterator[tuple[bool, Iterator[bytes]]]:
    """Part a text that begins with a bracket where lines begin that are JSON or no longer are; say which parts are.

    So one line that looks like JSON among lines of text costs none of its neighbours, and the other way round. Each
    part is to be read before the next one.
    """
    cursor = Cursor(chunks)
    while cursor.skip(BLANKS):
        if len(cursor.data) < _LOOKED_AHEAD:
            cursor.fill(_LOOKED_AHEAD - len(cursor.data))
        is_json = begins_as_json(cursor.data)
        yield is_json, _until(cursor, _TEXT_LINE if is_json else _JSON_LINE)
    if cursor.broken is not None:
        yield False, _until(cursor, _JSON_LINE)


def _until(cursor: Cursor, other: re.Pattern[bytes]) -> Iterator[bytes]:
    """What is in front of the next line of the other kind."""
    while True:
        found = other.search(cursor.data)
        if found is not None:
            yield cursor.take(found.start() + 1)
            return
        kept = 0 if cursor.ended else min(len(cursor.data) - cursor.data.rfind(b"\n"), _LOOKED_AHEAD)
        if len(cursor.data) > kept:
            yield cursor.take(len(cursor.data) - kept)
        if not cursor.fill():
            if cursor.data:
                continue
            break
    if cursor.broken is not None:
        why, cursor.broken = cursor.broken, None
        raise Broken(why)


class LineFramer:
    """Cuts one text into lines. `count` is the number of records so far, `header` the header line in force, or empty.

    A header is no record. Another one in the middle, as files put one behind the other have it, holds from there on;
    so `header` is that of the piece that was given last. `header` of a text before this one holds until the first one.
    """

    def __init__(self, chunks: Iterator[bytes], limits: Limits, form: LineForm, header: str = "") -> None:
        self._cursor = Cursor(chunks)
        self._limits = limits
        self._form = form
        self.count = 0
        self.header = header

    @property
    def form(self) -> bytes:
        """The form of the records: see `records.FORM`."""
        return LINES + self.header.encode()

    def pieces(self) -> Iterator[Piece]:
        """All records in order; a truncated object ends with one truncated_object record."""
        cursor, limit = self._cursor, self._limits.max_record_bytes
        if cursor.skip(BLANKS):
            self._take_header()
        while True:
            cut = cursor.data.rfind(b"\n") + 1
            if cut:
                begin = cursor.offset
                yield from self._block(cursor.take(cut), begin)
            if len(cursor.data) > limit:
                yield self._long_line()
            elif not cursor.fill():
                break
        tail, begin = cursor.take(len(cursor.data)), cursor.offset
        if cursor.broken is not None:
            self.count += 1
            yield problem_piece(tail[:limit], "truncated_object", cursor.broken)
        elif tail:
            yield from self._block(tail, begin)

    def _take_header(self) -> None:
        cursor = self._cursor
        end = cursor.fill_line(self._limits.max_record_bytes)
        line = cursor.data[: end if end >= 0 else len(cursor.data)].rstrip(b"\r")
        text = line.decode("utf-8", "replace")
        whole = end >= 0 or cursor.broken is None
        if whole and len(line) <= self._limits.max_record_bytes and self._form.is_header(text):
            self.header = text
            cursor.take(end + 1 if end >= 0 else len(cursor.data))

    def _block(self, block: bytes, begin: int) -> Iterator[Piece]:
        """Records of whole lines that start at byte `begin` of the decoded text."""
        text, offsets, count = lines_of(block)
        headers = self._headers(block, text, offsets) if self._form.header_names else {}
        self.count += count - len(headers)
        limit = self._limits.max_record_bytes
        long = longer_than(offsets, limit) if len(text) > limit else []
        special = sorted({*headers, *long})
        row = iter(special)
        for part in runs(text, offsets, special):
            if isinstance(part, Piece):
                yield _as_text(part)
            elif (header := headers.get(next(row))) is not None:
                self.header = header
            else:
                yield too_large(part[:limit], len(part), begin + max(0, block.find(part[:4096])))

    def _headers(self, block: bytes, text: bytes, offsets: Offsets) -> dict[int, str]:
        """The header lines among some lines, by number.

        All names of a header begin with a letter, and few records do; the one in force may be of any shape.
        """
        rows = np.flatnonzero(_IS_LETTER[np.frombuffer(text, dtype=np.uint8)[offsets[:-1]]])
        if len(rows):
            lines = pa.Array.from_buffers(pa.binary(), len(offsets) - 1, [None, *map(pa.py_buffer, (offsets, text))])
            named = pc.match_substring_regex(
                lines if len(rows) == len(lines) else lines.take(pa.array(rows)), pattern=self._form.names_pattern
            )
            rows = rows[named.to_numpy(zero_copy_only=False)]
        found = {int(row): text[offsets[row] : offsets[row + 1]].decode("utf-8", "replace") for row in rows}
        headers = {row: line for row, line in found.items() if self._form.is_header(line)}
        same = self.header.encode()
        if same and not headers and same in block:
            rows = np.flatnonzero(np.diff(offsets) == len(same))
            headers = {int(row): self.header for row in rows if text[offsets[row] : offsets[row + 1]] == same}
        return headers

    def _long_line(self) -> Piece:
        begin = self._cursor.offset
        head = Head(self._limits.max_record_bytes)
        for part in self._cursor.rest_of_line():
            head.add(part)
        self.count += 1
        text = bytes(head.kept)
        return too_large(text, head.size, begin) if head.size > len(text) else _as_text(piece_of([text]))


def _as_text(part: Piece) -> Piece:
    """The same piece; a line that is no text is not blamed for being no JSON."""
    if not part.problems:
        return part
    renamed = {"not_json": "not_text"}
    problems = {at: (renamed.get(reason, reason), why) for at, (reason, why) in part.problems.items()}
    return Piece(part.lines, problems)


def framers_of(
    text: Iterator[bytes], limits: Limits, form: LineForm, header: str, of_json: Callable[[Iterator[bytes]], _T] | None
) -> Iterator[_T | LineFramer]:
    """What cuts a text of lines into records; with `of_json`, each part of it that is JSON goes to such a framer."""
    for is_json, part in [(False, text)] if of_json is None else alternating(text):
        if is_json and of_json is not None:
            yield of_json(part)
        else:
            framer = LineFramer(part, limits, form, header)
            yield framer
            header = framer.header
