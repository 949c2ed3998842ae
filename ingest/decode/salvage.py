"""Records of what is not one sound document in memory: several, damaged, cut off, or too large ones, block by block.

The framer of `decode` asks for it when it meets one. Damage costs the records it touches; everything else goes on
behind it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from ingest.decode.documents import Cursor, Envelopes, Head, fault, records_of
from ingest.decode.records import BLANKS, Limits, Piece, piece_of, problem_piece, too_large
from ingest.decode.splitter import BLOCK_BYTES, DocumentSplitter, document_ends

_NEXT_DOCUMENT = re.compile(rb"\n(?=[{\[])")


_LINE_OF_OBJECT = re.compile(rb"(?<=\n)[ \t]*\{[^\n]*\}[ \t\r]*(?=\n|\Z)")

_FOLLOWS = re.compile(rb"\s*(\S)")


def _begin_of_lines(text: bytes, ended: bool) -> int:
    """Where records that are a line each begin behind a damaged document, or 0.

    In a sound document a comma or a closing bracket follows an object that is a line; here something else does, or the
    text is at its end (`ended`).
    """
    for found in _LINE_OF_OBJECT.finditer(text):
        follows = _FOLLOWS.match(text, found.end())
        if (ended if follows is None else follows[1] not in b",]}") and fault(found[0]) is None:
            return found.start()
    return 0


class Salvage:
    """Reads on where a framer's cursor stands. What it gives is not counted yet."""

    def __init__(self, cursor: Cursor, limits: Limits, envelopes: Envelopes) -> None:
        self._cursor = cursor
        self._limits = limits
        self._envelopes = envelopes

    def split_text(self, text: bytes, begin: int, reason: str, why: str) -> tuple[list[Piece], bytes, int] | None:
        """Records of a damaged envelope or array at hand, what follows it, and where; None without a list of records.

        The record of what is left of a document that ends early is a problem of `reason`, with the sentence `why`.
        """
        splitter = DocumentSplitter(self._limits, self._envelopes, begin)
        lead = len(text) - len(text.lstrip(BLANKS))
        used = lead + splitter.feed(text[lead:])
        if not splitter.has_list:
            return None
        if not splitter.done:
            splitter.end_early(reason, why)
        return list(splitter.pieces()), text[used:].strip(BLANKS), begin + used

    def documents_at_hand(self) -> tuple[list[msgspec.Raw], int]:
        """Records of the sound documents that stand one after another at hand, and how long their text is."""
        text = self._cursor.data
        found: list[msgspec.Raw] = []
        taken = 0
        for end in document_ends(text):
            document = text[taken:end].strip(BLANKS)
            records = records_of(document, self._envelopes) if document[:1] in (b"{", b"[") else None
            if records is None:
                break
            found.extend(records)
            taken = end
        return found, taken

    def long_line(self) -> Iterator[Piece]:
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
            yield from splitter.pieces()
            if splitter.has_list:
                yield from self._behind(behind, line, cursor.offset - len(behind))
                return
            head.extend(splitter.frame)
            head.add(behind)
        for part in line:
            head.add(part)
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
            why = f"text behind the end of a document, {head.size:,} bytes at byte {begin:,} of the decoded object"
            yield problem_piece(bytes(head.kept), "not_json", why)

    def one_document(self) -> Iterator[Piece]:
        """A document that is damaged, cut off or too large to hold."""
        cursor, limit = self._cursor, self._limits.max_record_bytes
        begin = cursor.offset
        if lines := _begin_of_lines(cursor.data, cursor.ended and cursor.broken is None):
            yield from self._in_front_of_lines(cursor.take(lines), begin)
            return
        splitter = DocumentSplitter(self._limits, self._envelopes, cursor.offset)
        while not splitter.done and (cursor.data or cursor.fill()):
            text_at_hand = cursor.take(len(cursor.data))
            at = 0
            while at < len(text_at_hand) and not splitter.done:
                used = splitter.feed(text_at_hand[at : at + BLOCK_BYTES])
                yield from splitter.pieces()
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
            yield from splitter.pieces()

    def odd_line(self) -> Iterator[Piece]:
        """A line between documents that begins with no bracket."""
        head = Head(self._limits.max_record_bytes)
        begin = self._cursor.offset
        for part in self._cursor.rest_of_line():
            head.add(part)
        text = bytes(head.kept).rstrip(BLANKS)
        yield piece_of([text]) if head.size <= len(head.kept) else too_large(text, head.size, begin)

    def _in_front_of_lines(self, text: bytes, begin: int) -> Iterator[Piece]:
        """A document that breaks off where lines begin."""
        why = "the document ends where lines of records begin"
        found = self.split_text(text.rstrip(BLANKS), begin, "not_json", why)
        if found is not None and any(len(part.lines) > len(part.problems) for part in found[0]):
            yield from found[0]
        else:
            head = Head(self._limits.max_record_bytes)
            head.add(text)
            yield from self._bad_document(head, begin)

    def _whole_document(self, frame: Head, begin: int) -> Iterator[Piece]:
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
        text = bytes(frame.kept).rstrip(BLANKS)
        why = fault(text) or "damaged"
        yield problem_piece(text, "not_json", f"{why}; bytes {begin:,} to {begin + len(text):,} of the decoded object")
