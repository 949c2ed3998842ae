"""The text of one object to records. Its content decides how it is framed.

Framings: lines (NDJSON), one array, envelopes such as `{"Records": [...]}` (one a line or one an object), and JSON
texts that go over several lines. Damage costs the records it touches; everything else goes on behind it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec

from ingest.decode.documents import BLANKS, BLOCK_BYTES, Envelopes, document_ends, fault, records_of
from ingest.decode.lines import lines_of, longer_than, rows_at, runs
from ingest.decode.records import Limits, Piece, piece_of, problem_piece, too_large
from ingest.decode.splitter import DocumentSplitter
from ingest.decode.text import Cursor, Head

_NEXT_DOCUMENT = re.compile(rb"\n(?=[{\[])")


class Framer:
    """Cuts one object into records. `count` is the number of records cut so far, by the framer's own counting."""

    def __init__(self, chunks: Iterator[bytes], limits: Limits, envelopes: Envelopes) -> None:
        self._cursor = Cursor(chunks)
        self._limits = limits
        self._envelopes = envelopes
        self.count = 0

    def pieces(self) -> Iterator[Piece]:
        """All records in order; a truncated object ends with one truncated_object record."""
        cursor = self._cursor
        while cursor.skip(BLANKS):
            if self._has_lines():
                yield from self._lines()
            elif cursor.data[:1] in (b"{", b"["):
                yield from self._documents()
            else:
                yield from self._odd_line()
        if cursor.broken is not None:
            self.count += 1
            yield problem_piece(b"", "truncated_object", cursor.broken)
            cursor.broken = None

    # Which framing

    def _has_lines(self) -> bool:
        """True if the text at hand, which is not blank, is a series of one-line records."""
        cursor = self._cursor
        end = cursor.fill_line(self._limits.max_document_bytes)
        if end < 0:
            return cursor.data[:1] not in (b"{", b"[")
        first = cursor.data[:end]
        if first[:1] not in (b"{", b"["):
            return True
        if fault(first) is None:
            return first[:1] == b"{" or self._something_follows(end)
        if first[:1] == b"[" or first.rstrip(BLANKS)[-1:] in b"[{,:":
            return False
        return self._next_line_is_whole(end)

    def _something_follows(self, end: int) -> bool:
        cursor = self._cursor
        while not cursor.data[end:].strip(BLANKS):
            end = len(cursor.data)
            if not cursor.fill():
                return False
        return True

    def _next_line_is_whole(self, end: int) -> bool:
        """True if the line after a damaged one is a whole record."""
        if not self._something_follows(end):
            return True
        cursor = self._cursor
        while True:
            follows = cursor.data[end:].lstrip(BLANKS)
            stop = follows.find(b"\n")
            if stop >= 0 or len(follows) > self._limits.max_document_bytes or not cursor.fill():
                line = follows[:stop] if stop >= 0 else follows
                return line[:1] == b"{" and fault(line) is None

    # Lines

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
                yield from self._long_line()
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
            pieces = self._split_text(line, begin, "not_json", "the line ends inside the document")
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

    def _split_text(self, text: bytes, begin: int, reason: str, why: str) -> list[Piece] | None:
        """Records of a damaged envelope or array at hand; None if the text holds no list of records."""
        splitter = DocumentSplitter(self._limits, self._envelopes, begin)
        lead = len(text) - len(text.lstrip(BLANKS))
        used = lead + splitter.feed(text[lead:])
        if not splitter.has_list:
            return None
        if not splitter.done:
            splitter.end_early(reason, why)
        pieces = list(splitter.pieces())
        self.count += sum(len(part.lines) for part in pieces)
        left = text[used:].strip(BLANKS)
        if left:
            pieces.extend(self._line(left, begin + used))
        return pieces

    def _broken_tail(self, tail: bytes, begin: int) -> Iterator[Piece]:
        """The text after the last line end of a truncated object."""
        why, self._cursor.broken = self._cursor.broken or "", None
        if tail.lstrip(BLANKS)[:1] == b"{" and self._envelopes.mentioned(tail):
            pieces = self._split_text(tail, begin, "truncated_object", why)
            if pieces is not None and any(
                reason == "truncated_object" for part in pieces for reason, _ in part.problems.values()
            ):
                yield from pieces
                return
            if pieces is not None:
                yield from pieces
                tail = b""
        self.count += 1
        limit = self._limits.max_record_bytes
        yield problem_piece(tail[:limit], "truncated_object", why)

    def _long_line(self) -> Iterator[Piece]:
        """A line too long for memory: an envelope is split as it streams by, anything else is cut."""
        cursor = self._cursor
        begin = cursor.offset
        head = Head(self._limits.max_record_bytes)
        if not self._past_blanks(head):
            return
        line = cursor.rest_of_line()
        if cursor.data[:1] == b"{":
            splitter = DocumentSplitter(self._limits, self._envelopes, cursor.offset)
            behind = self._feed_line(splitter, line)
            yield from self._counted(splitter.pieces())
            if splitter.has_list:
                yield from self._behind(behind, line, cursor.offset - len(behind))
                return
            head.extend(splitter.frame)
            head.add(behind)
        for part in line:
            head.add(part)
        self.count += 1
        text = bytes(head.kept)
        yield too_large(text, head.size, begin) if head.size > len(text) else piece_of([text.removesuffix(b"\r")])

    def _past_blanks(self, head: Head) -> bool:
        """Move the blanks before the line's text into `head`; False, and past the line, if it has no text."""
        cursor = self._cursor
        while True:
            head.add(cursor.take(len(cursor.data) - len(cursor.data.lstrip(b" \t\r"))))
            if cursor.data or not cursor.fill():
                break
        if cursor.data[:1] not in (b"", b"\n"):
            return True
        cursor.take(len(cursor.data[:1]))
        return False

    def _feed_line(self, splitter: DocumentSplitter, line: Iterator[bytes]) -> bytes:
        """Feed the line up to the document's end or its own; what was read behind the document's end."""
        for part in line:
            used = splitter.feed(part)
            if splitter.done:
                return part[used:]
        if splitter.has_list:
            why, self._cursor.broken = self._cursor.broken, None
            splitter.end_early(
                "not_json" if why is None else "truncated_object", why or "the line ends inside the document"
            )
        return b""

    def _behind(self, first: bytes, line: Iterator[bytes], begin: int) -> Iterator[Piece]:
        """What follows a long document on its line: normally nothing."""
        head = Head(self._limits.max_record_bytes)
        head.add(first.lstrip(BLANKS))
        for part in line:
            head.add(part)
        if head.kept.strip(BLANKS):
            self.count += 1
            why = f"text behind the end of a document, {head.size:,} bytes at byte {begin:,} of the decoded object"
            yield problem_piece(bytes(head.kept), "not_json", why)

    # Documents over several lines

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
        ends = document_ends(cursor.data)
        batch: list[msgspec.Raw] = []
        taken = 0
        for end in ends:
            text = cursor.data[taken:end].strip(BLANKS)
            records = records_of(text, self._envelopes) if text[:1] in (b"{", b"[") else None
            if records is None:
                break
            batch.extend(records)
            taken = end
        if taken:
            yield from self._elements(batch, cursor.offset)
            cursor.take(taken)
        else:
            yield from self._one_document()

    def _one_document(self) -> Iterator[Piece]:
        """A document that is damaged, cut off or too large to hold."""
        cursor, limit = self._cursor, self._limits.max_record_bytes
        splitter = DocumentSplitter(self._limits, self._envelopes, cursor.offset)
        begin = cursor.offset
        while not splitter.done and (cursor.data or cursor.fill()):
            text_at_hand = cursor.take(len(cursor.data))
            at = 0
            while at < len(text_at_hand) and not splitter.done:
                used = splitter.feed(text_at_hand[at : at + BLOCK_BYTES])
                yield from self._counted(splitter.pieces())
                overflow = splitter.frame.size > limit >= splitter.frame.size - used
                if not splitter.has_list and (overflow or splitter.done):
                    cursor.give_back(text_at_hand[at:])
                    if self._resync(splitter.frame, begin):
                        yield from self._bad_document(splitter.frame, begin)
                        return
                    text_at_hand, at = cursor.take(len(cursor.data)), 0
                at += used
            cursor.give_back(text_at_hand[at:])
        if not splitter.done and not splitter.has_list and self._resync(splitter.frame, begin):
            yield from self._bad_document(splitter.frame, begin)
        elif splitter.done and not splitter.has_list:
            yield from self._whole_document(splitter.frame, begin)
        elif not splitter.done:
            why, cursor.broken = cursor.broken or "the object ends inside a JSON document", None
            splitter.end_early("truncated_object", why)
            yield from self._counted(splitter.pieces())

    def _whole_document(self, frame: Head, begin: int) -> Iterator[Piece]:
        self.count += 1
        text = bytes(frame.kept)
        if frame.size > len(text):
            yield too_large(text, frame.size, begin)
        elif (why := fault(text)) is not None:
            yield problem_piece(text, "not_json", why)
        else:
            yield piece_of([text])

    def _resync(self, frame: Head, begin: int) -> bool:
        """If a damaged document is followed by a sound line, go back to that line and shorten `frame` to the damage."""
        text = bytes(frame.kept)
        if frame.size == len(text) and fault(text) is None:
            return False
        for found in _NEXT_DOCUMENT.finditer(text):
            stop = text.find(b"\n", found.end())
            if fault(text[found.end() : stop if stop >= 0 else len(text)]) is None:
                break
        else:
            return False
        ahead = self._cursor.offset - begin - found.end()
        if ahead > 0:
            self._cursor.give_back(text[found.end() : found.end() + ahead])
        else:
            self._cursor.take(-ahead)
        frame.kept = bytearray(text[: found.start()])
        frame.size = found.start()
        return True

    def _bad_document(self, frame: Head, begin: int) -> Iterator[Piece]:
        self.count += 1
        text = bytes(frame.kept).rstrip(BLANKS)
        why = fault(text) or "damaged"
        yield problem_piece(text, "not_json", f"{why}; bytes {begin:,} to {begin + len(text):,} of the decoded object")

    def _odd_line(self) -> Iterator[Piece]:
        """A line between documents that begins with no bracket."""
        head = Head(self._limits.max_record_bytes)
        begin = self._cursor.offset
        for part in self._cursor.rest_of_line():
            head.add(part)
        self.count += 1
        text = bytes(head.kept).rstrip(BLANKS)
        yield piece_of([text]) if head.size <= len(head.kept) else too_large(text, head.size, begin)

    def _counted(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        for part in pieces:
            self.count += len(part.lines)
            yield part
