"""Windows events as XML, cut out of a text that holds many: one on a line or over many, in `<Events>` or without.

A broken event costs only itself, for the next one begins where `<Event …><System>` stands. Cutting takes neither CDATA
nor comments for tags; whether an event is sound, `windows_xml` finds out. Loaded when an object has such text.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from ingest.decode.documents import Cursor, Head
from ingest.decode.records import BLANKS, JSON_FORM, Limits, Piece, lines_of, piece, piece_of, problem_piece, too_large

_NAME = rb"(?:[A-Za-z_][\w.-]*:)?"
_BEGIN = re.compile(rb"<" + _NAME + rb"Event(?=[\s/>])")
# What decides where an event ends. `system`: another event begins, whatever is open.
_TOKEN = re.compile(
    rb"<!\[CDATA\[|<!--|<" + _NAME + rb"Event(?=[\s/>])[^<>]*>(?P<system>\s*<" + _NAME + rb"System[\s/>])?"
    rb"|</" + _NAME + rb"Event\s*>"
)
_NEXT = re.compile(rb"<" + _NAME + rb"Event(?=[\s>])[^<>]*>\s*<" + _NAME + rb"System[\s/>]")
_CLOSED_BY = {b"<![CDATA[": b"]]>", b"<!--": b"-->"}
# What stands around events and tells nothing: the declaration, comments, the root of an export.
_AROUND = re.compile(
    rb"\xef\xbb\xbf|<\?[^<>]*\?>|<!--.*?-->|</?" + _NAME + rb"(?:Events|ArrayOfEvents?|QueryList|root)(?:\s[^<>]*)?>",
    re.DOTALL | re.IGNORECASE,
)
_SYSLOG_PRIORITY = re.compile(rb"\s*<\d{1,3}>")
_ENCODING = re.compile(rb"""\s*<\?xml[^<>]*\sencoding\s*=\s*["']([A-Za-z][\w.-]*)["']""")


class XmlFramer:
    """Cuts a text into events. `count` is their number so far. What is no event is a record as well, line by line."""

    form = JSON_FORM
    header = ""

    def __init__(self, chunks: Iterator[bytes], head: bytes, limits: Limits) -> None:
        self._cursor = Cursor(_in_utf8(chunks, head))
        self._limits = limits
        self.count = 0

    def pieces(self) -> Iterator[Piece]:
        """All records in order, each with its text as delivered; a truncated object ends with truncated_object."""
        for part in self._cut():
            self.count += len(part.lines)
            yield part

    def _cut(self) -> Iterator[Piece]:
        cursor = self._cursor
        events: list[bytes] = []
        while cursor.data or cursor.fill():
            found = _BEGIN.search(cursor.data)
            if found is None:
                yield from _given(events)
                yield from self._no_event()
                continue
            line = cursor.data.rfind(b"\n", 0, found.start()) + 1
            before = cursor.data[line : found.start()]
            if line or not _is_header(before):
                yield from _given(events)
                cut = self._json_line(line, before) if before.lstrip()[:1] == b"{" else found.start()
                yield from self._between(cursor.take(line if _is_header(before) else cut))
                continue
            end, wrong = self._end_of_event(found.start())
            if end is None:
                yield from _given(events)
                yield from self._endless(found.start())
            elif wrong or end - found.start() > self._limits.max_record_bytes:
                yield from _given(events)
                yield self._bad_event(found.start(), end, wrong)
            else:
                events.append(_AROUND.sub(b"", before).lstrip() + cursor.take(end)[found.start() :])
                if len(events) == 512:
                    yield from _given(events)
        yield from _given(events)
        if cursor.broken is not None:
            yield problem_piece(b"", "truncated_object", cursor.broken)
            cursor.broken = None

    def _json_line(self, begin: int, before: bytes) -> int:
        """The end of the line at hand that begins at `begin` as JSON does, whatever is inside it."""
        cursor = self._cursor
        while (end := cursor.data.find(b"\n", begin + len(before))) < 0:
            if len(cursor.data) - begin > self._limits.max_record_bytes or not cursor.fill():
                return len(cursor.data)
        return end + 1

    def _end_of_event(self, begin: int) -> tuple[int | None, str]:
        """Where the event at hand ends, and what is wrong with it if it ends where the next one begins; None if it
        does not end as far as a record may go."""
        cursor = self._cursor
        depth, at = 0, begin
        while True:
            last = cursor.ended or len(cursor.data) - begin > self._limits.max_record_bytes
            token = _TOKEN.search(cursor.data, at)
            if token is None:
                at = max(at, cursor.data.rfind(b"<", begin))
            elif (closed_by := _CLOSED_BY.get(token[0])) is not None:
                close = cursor.data.find(closed_by, token.end())
                inside = cursor.data[token.end() : close]
                if close >= 0 and not (token[0] in inside and _NEXT.search(inside)):
                    at = close + 3
                    continue
                if close >= 0 or last:
                    at = token.end()  # it is not closed: a broken event, whose end is looked for all the same
                    continue
                at = token.start()
            elif token[0].startswith(b"</"):
                depth, at = depth - 1, token.end()
                if depth == 0:
                    return at, ""
                continue
            elif token["system"] and depth:
                return token.start(), "the event has no end; the next one begins"
            elif token["system"] or last or cursor.data[token.end() :].lstrip(BLANKS + b"<"):
                if not token[0].rstrip().endswith(b"/>"):
                    depth, at = depth + 1, token.end("system") if token["system"] else token.end()
                elif depth == 0:
                    return token.end(), ""
                else:
                    at = token.end()
                continue
            if last or not cursor.fill(len(cursor.data)):
                if cursor.ended and not last:
                    continue
                return None, ""

    def _bad_event(self, begin: int, end: int, wrong: str) -> Piece:
        place = self._cursor.offset + begin
        text = self._cursor.take(end)[begin:]
        if len(text) > self._limits.max_record_bytes:
            return too_large(text[: self._limits.max_record_bytes], len(text), place)
        return problem_piece(text.strip(), "not_xml", wrong)

    def _endless(self, begin: int) -> Iterator[Piece]:
        """An event that does not end: it is too large, or the object ends inside it."""
        cursor, limit = self._cursor, self._limits.max_record_bytes
        place = cursor.offset
        if cursor.ended and len(cursor.data) <= limit:
            why, cursor.broken = cursor.broken or "the object ends inside an event", None
            yield problem_piece(cursor.take(len(cursor.data)).strip(), "truncated_object", why)
            return
        head = Head(limit)
        head.add(cursor.take(begin + 1))
        while cursor.data or cursor.fill():
            following = _NEXT.search(cursor.data)
            if following is not None:
                head.add(cursor.take(following.start()))
                break
            keep = 0 if cursor.ended else min(len(cursor.data), 1024)  # the begin of one may be at hand in part
            head.add(cursor.take(len(cursor.data) - keep))
            if keep and not cursor.fill():
                continue
        yield too_large(bytes(head.kept), head.size, place)

    def _no_event(self) -> Iterator[Piece]:
        """Text at hand in which no event begins: its whole lines."""
        cursor, limit = self._cursor, self._limits.max_record_bytes
        cut = len(cursor.data) if cursor.ended else cursor.data.rfind(b"\n") + 1
        if cut:
            text = cursor.take(cut)
            if cursor.ended and cursor.broken is not None and text.strip():
                why, cursor.broken = cursor.broken, None
                yield problem_piece(text[:limit], "truncated_object", why)
            else:
                yield from self._between(text)
        elif len(cursor.data) > limit:
            place, head = cursor.offset, Head(limit)
            for part in cursor.rest_of_line():
                head.add(part)
            yield too_large(bytes(head.kept), head.size, place)
        else:
            cursor.fill()

    def _between(self, text: bytes) -> Iterator[Piece]:
        """Text between events: what stands around them is no record, a line is one, and so is a part of an event."""
        if not text.strip():
            return
        part_of_event: list[bytes] = []
        for line in text.splitlines(keepends=True):
            if line.lstrip()[:1] != b"{":
                part_of_event.append(line)
                continue
            yield from self._no_json(b"".join(part_of_event))
            part_of_event = []
            yield from self._lines(line)
        yield from self._no_json(b"".join(part_of_event))

    def _no_json(self, text: bytes) -> Iterator[Piece]:
        rest = _AROUND.sub(b"", text).strip()
        if not rest:
            return
        if b"<" in re.sub(rb"(?m)^\s*<\d{1,3}>", b"", rest):
            if len(text) > self._limits.max_record_bytes:
                place = self._cursor.offset - len(text)
                yield too_large(text[: self._limits.max_record_bytes], len(text), place)
            else:
                yield problem_piece(rest, "not_xml", "text outside of events")
        else:
            yield from self._lines(rest)

    def _lines(self, text: bytes) -> Iterator[Piece]:
        joined, offsets, _ = lines_of(text)
        yield piece(joined, offsets)


def _given(events: list[bytes]) -> Iterator[Piece]:
    """The events so far, and forgets them."""
    if events:
        yield piece_of(events)
        events.clear()


def _is_header(before: bytes) -> bool:
    """Whether the text in front of an event on its line goes with it: nothing, or what syslog writes there."""
    rest = _SYSLOG_PRIORITY.sub(b"", _AROUND.sub(b"", before), count=1)
    return b"<" not in rest and before.lstrip()[:1] != b"{"


def _in_utf8(chunks: Iterator[bytes], head: bytes) -> Iterator[bytes]:
    """The text in UTF-8 where its declaration names another encoding of one byte a character."""
    found = _ENCODING.match(head)
    name = found[1].decode().lower() if found else "utf-8"
    if name.startswith(("utf", "us-ascii", "ascii", "ucs")):
        return chunks
    try:
        decoder = codecs.getincrementaldecoder(name)("replace")
        if decoder.decode(b"<Event>") != "<Event>":
            return chunks
    except (LookupError, ValueError, TypeError):
        return chunks
    return _decoded(chunks, decoder)


def _decoded(chunks: Iterator[bytes], decoder: codecs.IncrementalDecoder) -> Iterator[bytes]:
    for chunk in chunks:
        yield decoder.decode(chunk).encode()
    yield decoder.decode(b"", True).encode()
