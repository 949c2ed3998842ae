"""Objects of which every line is a record: delimited values and access logs, with the header that names the values.

Taking lines apart is the landing's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ingest.decode.documents import Cursor, Head
from ingest.decode.records import (
    BLANKS,
    LINES,
    Limits,
    Piece,
    lines_of,
    longer_than,
    piece_of,
    problem_piece,
    runs,
    too_large,
)

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_KNOWN = 3  # names that a header with many unknown ones must have


@dataclass(frozen=True)
class LineForm:
    """What decoding has to know of lines: the names that a header line may hold (lower case), and what parts them.

    Without `header_names` no header is looked for. `always`: lines also where the text begins like JSON.
    """

    delimiter: str = ""
    header_names: frozenset[str] = frozenset()
    always: bool = False

    def is_header(self, line: str) -> bool:
        """Whether a line names fields: most of its values are known names, or all could be names and some are known.

        No value of a record is called `srcaddr`, and a record has values that are no names: numbers, addresses.
        """
        names = line.split(self.delimiter) if self.header_names else []
        known = sum(name.lower() in self.header_names for name in names)
        return known * 2 > len(names) or (known >= _KNOWN and all(_NAME.fullmatch(name) for name in names))


class LineFramer:
    """Cuts one object into lines. `count` is the number of records so far, `header` its header line or empty.

    The header is no record; nor is the same line again, as objects put one behind the other have it.
    """

    def __init__(self, chunks: Iterator[bytes], limits: Limits, form: LineForm) -> None:
        self._cursor = Cursor(chunks)
        self._limits = limits
        self._form = form
        self._header_line = b""
        self.count = 0
        self.header = ""

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
            self.header, self._header_line = text, line + b"\n"
            cursor.take(end + 1 if end >= 0 else len(cursor.data))

    def _block(self, block: bytes, begin: int) -> Iterator[Piece]:
        """Records of whole lines that start at byte `begin` of the decoded object."""
        if self._header_line and self._header_line.rstrip(b"\n") in block:
            block = self._without_header(block)
        text, offsets, count = lines_of(block)
        self.count += count
        long = longer_than(offsets, self._limits.max_record_bytes) if len(text) > self._limits.max_record_bytes else []
        for part in runs(text, offsets, long):
            if isinstance(part, Piece):
                yield _as_text(part)
            else:
                kept = part[: self._limits.max_record_bytes]
                yield too_large(kept, len(part), begin + max(0, block.find(part[:4096])))

    def _without_header(self, block: bytes) -> bytes:
        block = block.replace(b"\r\n", b"\n")
        if not block.endswith(b"\n"):
            block += b"\n"
        # Twice: of two header lines in a row the first pass takes one.
        for _ in range(2):
            block = (b"\n" + block).replace(b"\n" + self._header_line, b"\n")[1:]
        return block

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
