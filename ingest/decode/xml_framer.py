"""Windows events as XML, cut out of a text that holds many: one on a line or over many, in `<Events>` or without.

A broken event costs only itself, for the next one begins where `<Event …><System>` stands. Cutting takes neither CDATA
nor comments for tags; whether an event is sound, `windows_xml` finds out. Loaded when an object has such text.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from ingest.decode.documents import Head, TextFramer, lines_of
from ingest.decode.records import BLANKS, Limits, Piece, piece, piece_of, problem_piece, too_large

_NAME = rb"(?:[A-Za-z_][\w.-]*:)?"
# What an event begins with: its header, or a field of what NXLog's to_xml writes.
_FIRST = rb"<" + _NAME + rb"(?:System|EventTime|EventReceivedTime|Hostname|MessageSourceAddress)[\s/>]"
_BEGIN = re.compile(rb"<" + _NAME + rb"Event(?=[\s/>])")
# What decides where an event ends. `system`: another event begins, whatever is open.
_TOKEN = re.compile(
    rb"<!\[CDATA\[|<!--|<" + _NAME + rb"Event(?=[\s/>])[^<>]*>(?P<system>\s*" + _FIRST + rb")?"
    rb"|</" + _NAME + rb"Event\s*>"
)
# What ends an event that is too large to be looked at as a whole.
_STOP = re.compile(rb"(?P<next><" + _NAME + rb"Event(?=[\s>])[^<>]*>\s*" + _FIRST + rb")|</" + _NAME + rb"Event\s*>")
_LONGEST_STOP = 4096
_CLOSED_BY = {b"<![CDATA[": b"]]>", b"<!--": b"-->"}
# What stands around events and tells nothing: the declaration, comments, the root of an export, evtx_dump's numbers.
_AROUND = re.compile(
    rb"(?m)^Record \d+\s*$|\xef\xbb\xbf|<\?[^<>]*\?>|<!--[^<]*-->"
    rb"|</?" + _NAME + rb"(?:Events|ArrayOfEvents?|QueryList|root)(?:\s[^<>]*)?>",
    re.IGNORECASE,
)
_LONGEST_TAG = 64  # of `<System>`, with a prefix
_LONGEST_BETWEEN = 1 << 20  # bytes of text between events that are looked at as one
_TAG = re.compile(rb"</[A-Za-z]|/>|<!|<[A-Za-z][\w.:-]*\s[\w.:-]+\s*=")  # of what is a part of an event
_JSON_LINE = re.compile(rb"""\s*(?:<\d{1,3}>)?[^<{]*\{\s*["}]""")  # also behind a syslog header
_PRIORITIES = re.compile(rb"(?m)^\s*<\d{1,3}>")  # that syslog begins its lines with
_ENCODING = re.compile(rb"""\s*<\?xml[^<>]*\sencoding\s*=\s*["']([A-Za-z][\w.-]*)["']""")


class XmlFramer(TextFramer):
    """Cuts a text into events. What is no event is a record as well, line by line."""

    def __init__(self, chunks: Iterator[bytes], head: bytes, limits: Limits) -> None:
        super().__init__(_in_utf8(chunks, head), limits)

    def _cut(self) -> Iterator[Piece]:
        return self._counted(self._found())

    def _found(self) -> Iterator[Piece]:
        cursor = self._cursor
        while cursor.data or cursor.fill():
            pieces, used = self._at_hand()
            cursor.take(used)
            yield from pieces
            if used:
                continue
            found = _BEGIN.search(cursor.data)
            yield from self._no_event() if found is None else self._endless(found.start())

    def _at_hand(self) -> tuple[list[Piece], int]:
        """The records of the text at hand up to its last event that ends, and how long their text is."""
        cursor, limit = self._cursor, self._limits.max_record_bytes
        pieces: list[Piece] = []
        sound: list[bytes] = []
        at = 0
        while (found := _BEGIN.search(cursor.data, at)) is not None:
            begin = found.start()
            before = cursor.data[at:begin]
            line = before.rfind(b"\n") + 1
            header = before[line:]
            if _JSON_LINE.match(header):
                end = self._end_of_line(begin, may_fill=not pieces and not sound)
                if end is None:
                    break
                others, header, at = cursor.data[at:end], b"", end
            elif not _is_header(header):
                others, header, at = before, b"", begin
            else:
                others, header, at = before[:line], _AROUND.sub(b"", header).lstrip(), at + line
            if others.strip() and (odd := list(self._between(others, cursor.offset + at))):
                pieces += [piece_of(sound), *odd] if sound else odd
                sound = []
            if at > begin:
                continue
            end, wrong = self._end_of_event(begin, may_fill=not pieces and not sound)
            if end is None:
                break
            if wrong or end - begin > limit:
                pieces += [piece_of(sound)] if sound else []
                pieces.append(self._bad_event(header, begin, end, wrong))
                sound = []
            else:
                sound.append(header + cursor.data[begin:end])
            at = end
        return [*pieces, piece_of(sound)] if sound else pieces, at

    def _end_of_line(self, begin: int, *, may_fill: bool) -> int | None:
        """Behind the end of the line at hand; None if it is not at hand."""
        cursor = self._cursor
        while (end := cursor.data.find(b"\n", begin)) < 0:
            if cursor.ended or len(cursor.data) - begin > self._limits.max_record_bytes:
                return len(cursor.data)
            if not may_fill or not (cursor.fill() or cursor.ended):
                return None
        return end + 1

    def _end_of_event(self, begin: int, *, may_fill: bool) -> tuple[int | None, str]:
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
                another = cursor.data.find(token[0], token.end())
                close = cursor.data.find(closed_by, token.end(), another if another >= 0 else len(cursor.data))
                if close >= 0 or another >= 0 or last:
                    at = close + 3 if close >= 0 else token.end()  # of a broken event the end is looked for as well
                    continue
                at = token.start()
            elif token[0].startswith(b"</"):
                depth, at = depth - 1, token.end()
                if depth == 0:
                    return at, ""
                continue
            elif token["system"] and token.start() > begin:
                line = cursor.data.rfind(b"\n", begin, token.start()) + 1
                end = line if line and _is_header(cursor.data[line : token.start()]) else token.start()
                return end, "the event has no end; the next one begins"
            elif (
                token["system"]
                or last
                or len(cursor.data[token.end() : token.end() + 1024].lstrip(BLANKS)) > _LONGEST_TAG
            ):
                if not token[0].rstrip().endswith(b"/>"):
                    depth, at = depth + 1, token.end("system") if token["system"] else token.end()
                elif depth == 0:
                    return token.end(), ""
                else:
                    at = token.end()
                continue
            if last or not may_fill or not (cursor.fill(len(cursor.data) - begin) or cursor.ended):
                return None, ""

    def _bad_event(self, header: bytes, begin: int, end: int, wrong: str) -> Piece:
        place, text = self._cursor.offset + begin, header + self._cursor.data[begin:end]
        if end - begin > self._limits.max_record_bytes:
            return too_large(text[: self._limits.max_record_bytes], len(text), place)
        return problem_piece(text.strip(), "not_xml", wrong)

    def _endless(self, begin: int) -> Iterator[Piece]:
        """An event that does not end: it is too large, or the object ends inside it."""
        cursor, limit = self._cursor, self._limits.max_record_bytes
        header = _AROUND.sub(b"", cursor.take(begin)).lstrip()
        if cursor.ended and len(cursor.data) <= limit:
            why, cursor.broken = cursor.broken or "the object ends inside an event", None
            yield problem_piece((header + cursor.take(len(cursor.data))).strip(), "truncated_object", why)
            return
        place, head = cursor.offset, Head(limit)
        head.add(header + cursor.take(1))
        while cursor.data or cursor.fill():
            if (stop := _STOP.search(cursor.data)) is not None:
                head.add(cursor.take(stop.start() if stop["next"] else stop.end()))
                break
            if not cursor.fill():
                head.add(cursor.take(len(cursor.data)))
            elif (cut := len(cursor.data) - _LONGEST_STOP) > 0 and cursor.data.find(b">", cut) >= 0:
                head.add(cursor.take(cut))
        yield too_large(bytes(head.kept), head.size, place)

    def _no_event(self) -> Iterator[Piece]:
        """Text at hand in which no event begins: its whole lines, once it is clear that it is no part of one."""
        cursor, limit = self._cursor, self._limits.max_record_bytes
        if len(cursor.data) < max(limit, _LONGEST_BETWEEN) and cursor.fill(len(cursor.data)):
            return
        cut = len(cursor.data) if cursor.ended else cursor.data.rfind(b"\n") + 1
        if not cut:
            place, head = cursor.offset, Head(limit)
            for part in cursor.rest_of_line():
                head.add(part)
            yield too_large(bytes(head.kept), head.size, place)
            return
        text = cursor.take(cut)
        if cursor.ended and cursor.broken is not None and text.strip():
            why, cursor.broken = cursor.broken, None
            yield problem_piece(text[:limit], "truncated_object", why)
        else:
            yield from self._between(text, cursor.offset - len(text))

    def _between(self, text: bytes, place: int) -> Iterator[Piece]:
        """Text between events, at byte `place` of the decoded object.

        What stands around events is no record; a line is one, and so is a part of an event.
        """
        no_json: list[bytes] = []
        for line in text.splitlines(keepends=True):
            if not _JSON_LINE.match(line):
                no_json.append(line)
                continue
            yield from self._no_json(b"".join(no_json), place)
            no_json = []
            yield from self._lines(line)
        yield from self._no_json(b"".join(no_json), place)

    def _no_json(self, text: bytes, place: int) -> Iterator[Piece]:
        rest = _AROUND.sub(b"", text).strip()
        if not rest:
            return
        if not _TAG.search(rest):
            yield from self._lines(rest)
        elif len(text) > self._limits.max_record_bytes:
            yield too_large(text[: self._limits.max_record_bytes], len(text), place)
        else:
            yield problem_piece(rest, "not_xml", "text outside of events")

    def _lines(self, text: bytes) -> Iterator[Piece]:
        joined, offsets, _ = lines_of(text)
        yield piece(joined, offsets)


def _is_header(before: bytes) -> bool:
    """Whether the text in front of an event on its line goes with it: nothing, or what syslog writes there."""
    return b"<" not in _PRIORITIES.sub(b"", _AROUND.sub(b"", before))


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
