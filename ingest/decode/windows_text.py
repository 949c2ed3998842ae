"""Windows events as Splunk's classic input renders them: `Name=value` lines, at last the message over many lines.

    03/12/2021 10:48:14 AM
    LogName=Security
    EventCode=4624
    Message=An account was successfully logged on.

An event ends where the next one begins. A record is JSON with the names of the header, `EventTime` for the time in
front (a local one) and `Message`. Loaded when an object has such text. What a message says: the source's `rendered`.
Source: "Monitor Windows event log data", `renderXml = false`, Splunk documentation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec
import pyarrow as pa

from ingest.decode.documents import Head, TextFramer, lines_of
from ingest.decode.records import Piece, piece, piece_of, problem_piece, too_large

_TIME = r"\d{1,2}/\d{1,2}/\d{4} \d{1,2}:\d\d:\d\d(?:\.\d+)? [AP]M"
_HEADER = r"(?:LogName|EventCode|SourceName)=[^\n]*[\s](?:LogName|EventCode|SourceName|EventType|Type|ComputerName)="
_BEGIN = re.compile(rf"(?m)^(?:{_TIME}\s+(?={_HEADER})|(?=LogName=[^\n]*\r?\n(?:SourceName|EventCode)=))".encode())
_EVENT = re.compile(rf"\s*(?:(?P<time>{_TIME})\s+)?(?={_HEADER})")
_NAMES = (
    "LogName|SourceName|EventCode|EventType|Type|ComputerName|User|Sid|SidType|TaskCategory|OpCode|RecordNumber"
    "|Keywords|CategoryString|Category|Message"
)
_LONGEST_BEGIN = 1024
_FIELD = re.compile(rf"(?m)^([A-Za-z_]\w*)=|(?<=\s)({_NAMES})=")


class TextEventFramer(TextFramer):
    """Cuts a text into events. Text in front of the first one is lines."""

    def _cut(self) -> Iterator[Piece]:
        return self._counted(self._found())

    def _found(self) -> Iterator[Piece]:
        cursor = self._cursor
        while cursor.data or cursor.fill():
            begins = _begins(cursor.data)
            whole = cursor.ended and cursor.broken is None
            ends = [*begins[1:], len(cursor.data)] if whole else begins[1:]
            if begins and begins[0] > 0:
                yield from self._lines(cursor.take(begins[0]))
            elif ends:
                text, first = cursor.data, begins[0]
                yield from self._events([text[a:b] for a, b in zip(begins, ends, strict=False)])
                cursor.take(ends[-1] - first)
            elif len(cursor.data) > self._limits.max_record_bytes:
                yield self._endless()
            elif not cursor.fill(len(cursor.data)) and cursor.ended:
                yield from self._rest(bool(begins))

    def _events(self, texts: list[bytes]) -> Iterator[Piece]:
        fitting: list[bytes] = []
        for text in texts:
            if len(text) <= self._limits.max_record_bytes:
                fitting.append(text)
                continue
            if fitting:
                yield _as_json(fitting)
                fitting = []
            yield too_large(text[: self._limits.max_record_bytes], len(text), self._cursor.offset)
        if fitting:
            yield _as_json(fitting)

    def _endless(self) -> Piece:
        """An event, or text, that is longer than a record may be: up to where the next event begins."""
        cursor = self._cursor
        place, head = cursor.offset, Head(self._limits.max_record_bytes)
        while True:
            found = next((at for at in _begins(cursor.data) if at or head.size), None)
            if found is not None:
                head.add(cursor.take(found))
                break
            kept = 0 if cursor.ended else min(len(cursor.data), _LONGEST_BEGIN)
            head.add(cursor.take(len(cursor.data) - kept))
            if not cursor.fill() and not cursor.data:
                break
        return too_large(bytes(head.kept), head.size, place)

    def _rest(self, is_event: bool) -> Iterator[Piece]:
        cursor = self._cursor
        text = cursor.take(len(cursor.data))
        if cursor.broken is not None:
            why, cursor.broken = cursor.broken, None
            yield problem_piece(text.strip(), "truncated_object", why)
        elif is_event:
            yield _as_json([text])
        else:
            yield from self._lines(text)

    def _lines(self, text: bytes) -> Iterator[Piece]:
        if text.strip():
            joined, offsets, _ = lines_of(text)
            yield piece(joined, offsets)


def _begins(text: bytes) -> list[int]:
    """Where events begin: at the time, or at the first name where there is none."""
    begins, end = [], -1
    for found in _BEGIN.finditer(text):
        if found.start() != end:
            begins.append(found.start())
        end = found.end()
    return begins


def _as_json(texts: list[bytes]) -> Piece:
    part = piece_of([each.strip() for each in texts])
    raw = part.lines.to_pylist()
    lines = [
        text if row in part.problems or (made := header_of(text)) is None else msgspec.json.encode(made).decode()
        for row, text in enumerate(raw)
    ]
    return Piece(pa.array(lines, pa.utf8()), part.problems, pa.array(raw, pa.utf8()))


def header_of(text: str) -> dict[str, Any] | None:
    """Return the header and the message of an event in this form, None where a text is none."""
    begin = _EVENT.match(text)
    if begin is None:
        return None
    record: dict[str, Any] = {}
    if begin["time"]:
        form = "%m/%d/%Y %I:%M:%S.%f %p" if "." in begin["time"] else "%m/%d/%Y %I:%M:%S %p"
        try:
            record["EventTime"] = datetime.strptime(begin["time"], form).isoformat()
        except ValueError:
            record["EventTime"] = begin["time"]
    name, at = "", begin.end()
    for found in _FIELD.finditer(text, begin.end()):
        if name:
            record[_unused(name, record)] = text[at : found.start()].strip()
        name, at = found[1] or found[2], found.end()
        if name == "Message":
            break
    record[_unused(name, record)] = text[at:].strip()
    return record


def _unused(name: str, record: dict[str, Any]) -> str:
    """The name, or for one that the header has twice another: both values are kept."""
    return name if name not in record else f"{name}_{len(record)}"
