"""Any JSON document to its records, block by block: what is whole in front of damage is kept, memory stays bounded.

`Structure` finds the places where text can be cut, without recursion and with a few bytes of state between blocks; it
does not judge whether the text is JSON. `salvage` decides which text is a document, and where to go on behind it.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np
import numpy.typing as npt

from ingest.decode.documents import LIST_DECODER, Envelopes, Head, fault
from ingest.decode.records import BLANKS, Limits, Piece, piece_of, problem_piece, too_large

QUOTE, COMMA, BACKSLASH = 0x22, 0x2C, 0x5C
OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT = 0x5B, 0x5D, 0x7B, 0x7D
BLOCK_BYTES = 1 << 20

_DEPTH_CHANGE = np.zeros(256, dtype=np.int8)
_DEPTH_CHANGE[[OPEN_LIST, OPEN_OBJECT]] = 1
_DEPTH_CHANGE[[CLOSE_LIST, CLOSE_OBJECT]] = -1
_OF_INTEREST = bytes(code in b'",[]{}' for code in range(256))

Positions = npt.NDArray[np.intp]
Codes = npt.NDArray[np.uint8]
Depths = npt.NDArray[np.int64]


class Structure:
    """Feed consecutive blocks of one text; strings, escapes and depth carry over from block to block."""

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = False
        self._escape_next = False

    def feed(self, block: bytes) -> tuple[Positions, Codes, Depths]:
        """Brackets and commas outside strings: their places in `block`, the characters, the depth after each."""
        text = np.frombuffer(block, dtype=np.uint8)
        found = np.flatnonzero(np.frombuffer(block.translate(_OF_INTEREST), dtype=np.bool_))
        escaped = self._escaped(block, text)
        if escaped.size:
            found = found[~np.isin(found, escaped, assume_unique=True)]
        codes = text[found]
        quotes = codes == QUOTE
        inside = (np.cumsum(quotes) + self._in_string) & 1 == 1
        if quotes.any():
            self._in_string = bool((int(quotes.sum()) + self._in_string) & 1)
        outside = ~(quotes | inside)
        found, codes = found[outside], codes[outside]
        depths = np.cumsum(_DEPTH_CHANGE[codes], dtype=np.int64) + self._depth
        if depths.size:
            self._depth = int(depths[-1])
        return found, codes, depths

    def _escaped(self, block: bytes, text: npt.NDArray[np.uint8]) -> Positions:
        """Places of characters after an odd run of backslashes."""
        carried, self._escape_next = self._escape_next, False
        if not block or (not carried and b"\\" not in block):
            return np.empty(0, dtype=np.intp)
        slashes = np.flatnonzero(text == BACKSLASH)
        first = np.diff(slashes, prepend=-2) != 1
        starts = slashes[first]
        ends = slashes[np.append(first[1:], True)] if slashes.size else slashes
        lengths = ends - starts + 1
        if carried and starts.size and starts[0] == 0:
            lengths[0] -= 1
        escaped: Positions = ends[lengths % 2 == 1] + 1
        if carried and not (starts.size and starts[0] == 0):
            escaped = np.append(escaped, 0)
        self._escape_next = bool((escaped == len(block)).any())
        return escaped


def document_ends(text: bytes) -> list[int]:
    """Ends (exclusive) of the objects and arrays that stand one after another in `text`, as far as they are whole."""
    structure = Structure()
    ends: list[int] = []
    for begin in range(0, len(text), BLOCK_BYTES):
        found, codes, depths = structure.feed(text[begin : begin + BLOCK_BYTES])
        below = np.flatnonzero(depths < 0)
        usable = below[0] if below.size else len(depths)
        closed = (depths[:usable] == 0) & (codes[:usable] != COMMA)
        ends.extend((found[:usable][closed] + begin + 1).tolist())
        if below.size:
            break
    return ends


class DocumentSplitter:
    """Takes one document block by block and gives its records as pieces.

    `begin` is the place of the document in the decoded object. Elements of the list are checked; the first one that is
    not JSON ends the splitting, and the rest of the document becomes one not_json record. `frame` is the text outside
    the lists: the whole document if it has no list.
    """

    def __init__(self, limits: Limits, envelopes: Envelopes, begin: int) -> None:
        self._limit = limits.max_record_bytes
        self._envelopes = envelopes
        self._structure = Structure()
        self._begin = begin
        self._place = begin  # of the next byte fed
        self._list_depth = 0
        self._in_list = False
        self._element = Head(self._limit)
        self._elements: list[bytes] = []
        self._count = 0
        self._rest: Head | None = None
        self._rest_why = ""
        self._before = b""  # text since the last separator at the top, or its start if that is long
        self._after_list = 0
        self._pieces: list[Piece] = []
        self.frame = Head(self._limit)
        self.has_list = False
        self.done = False

    def feed(self, data: bytes) -> int:
        """Take bytes up to the end of the document or of `data`; how many were taken. `done` is true at its end."""
        for begin in range(0, len(data), BLOCK_BYTES):
            block = data[begin : begin + BLOCK_BYTES]
            used = self._feed_block(block)
            self._place += used
            if self.done:
                return begin + used
        return len(data)

    def pieces(self) -> Iterator[Piece]:
        """What is ready; empties the store."""
        ready, self._pieces = self._pieces, []
        yield from ready

    def _feed_block(self, block: bytes) -> int:
        found, codes, depths = self._structure.feed(block)
        if not self._list_depth:
            self._list_depth = 1 if block[:1] == b"[" else 2
        at_list = depths == self._list_depth
        closing = (codes == CLOSE_LIST) | (codes == CLOSE_OBJECT)
        interesting = (
            (depths <= 0)
            | ((depths == 1) & ((codes == COMMA) | (codes == OPEN_OBJECT)))
            | (at_list & ((codes == COMMA) | (codes == OPEN_LIST)))
            | ((depths == self._list_depth - 1) & closing)
        )
        events = np.flatnonzero(interesting)
        places, kinds, levels = found[events].tolist(), codes[events].tolist(), depths[events].tolist()
        closes = np.flatnonzero((depths[events] == self._list_depth - 1) & closing[events])
        mark: int = 0
        event: int = 0
        while event < len(places):
            at: int = places[event]
            if self._rest is None:
                mark = self._turn(block, mark, at, kinds[event], levels[event])
            if levels[event] <= 0:
                self._keep(block[mark : at + 1])
                self._finish_document()
                return at + 1
            event += 1
            if self._in_list and self._rest is None:
                stop = np.searchsorted(closes, event)
                last = int(closes[stop]) if stop < len(closes) else len(places)
                if self._take_run(block, mark, places[event:last]):
                    mark, event = places[last - 1] + 1, last
        self._keep(block[mark:])
        self._check_elements()
        return len(block)

    def _take_run(self, block: bytes, mark: int, commas: list[int]) -> bool:
        """Elements that lie whole in the block, up to the last of the commas, in one go if all are sound."""
        if len(commas) < 2 or self._element.size or len(block) > self._limit:
            return False
        try:
            sound = LIST_DECODER.decode(b"[" + block[mark : commas[-1]] + b"]")
        except (msgspec.DecodeError, RecursionError):
            return False
        if len(sound) != len(commas):
            return False
        self._check_elements()
        if self._rest is not None:
            return False
        self._pieces.append(piece_of(sound))
        self._count += len(sound)
        return True

    def _turn(self, block: bytes, mark: int, at: int, code: int, depth: int) -> int:
        """Act on one bracket or comma; the place up to which `block` has been dealt with."""
        if self._in_list:
            closes = depth == self._list_depth - 1
            if not closes and not (code == COMMA and depth == self._list_depth):
                return mark
            self._element.add(block[mark:at])
            self._end_element(at, closes)
            if closes and self._rest is None:
                self._in_list = False
                self._after_list = self.frame.size
                self._before = b""
            return at + (not closes)
        self._keep(block[mark : at + 1])
        if code == OPEN_LIST and depth == self._list_depth:
            if depth == 1 or self._envelopes.opens(self._before[:-1]):
                self._in_list = self.has_list = True
                self._count = 0
        elif depth <= 1:
            self._before = b""
        return at + 1

    def _keep(self, part: bytes) -> None:
        if self._rest is not None:
            self._rest.add(part)
        elif self._in_list:
            self._element.add(part)
        else:
            self.frame.add(part)
            if len(self._before) < 1024:
                self._before += part if len(part) < 1024 else part[:1024]

    def _end_element(self, at: int, closes: bool) -> None:
        element, self._element = self._element, Head(self._limit)
        self._count += 1
        if element.size > self._limit:
            self._check_elements()
            if self._rest is None:
                self._pieces.append(too_large(bytes(element.kept), element.size, self._place + at - element.size))
                return
            self._rest.add(bytes(element.kept))
        elif not (closes and self._count == 1 and not element.kept.strip(BLANKS)):
            self._elements.append(bytes(element.kept))
        if closes:
            self._check_elements(list_closed=True)
        if self._rest is not None and not closes:
            self._rest.add(b",")

    def _check_elements(self, list_closed: bool = False) -> None:
        elements, self._elements = self._elements, []
        if not elements:
            return
        try:
            sound = LIST_DECODER.decode(b"[" + b",".join(elements) + b"]")
            if len(sound) == len(elements):
                self._pieces.append(piece_of(sound))
                return
        except (msgspec.DecodeError, RecursionError):
            pass
        self._check_one_by_one(elements, list_closed)

    def _check_one_by_one(self, elements: list[bytes], list_closed: bool) -> None:
        for number, element in enumerate(elements):
            why = fault(element)
            if why is None:
                self._pieces.append(piece_of([element.strip(BLANKS)]))
            elif why.startswith("nested"):
                self._pieces.append(problem_piece(element.strip(BLANKS), "not_json", why))
            else:
                self._rest, self._rest_why = Head(self._limit), why
                self._rest.add(b",".join(elements[number:]) + (b"" if list_closed else b","))
                self._rest.add(bytes(self._element.kept))
                self._rest.size += self._element.size - len(self._element.kept)
                return

    def _finish_document(self) -> None:
        self.done = True
        self._check_elements()
        self._give_rest()
        if self.has_list and self._rest is None and self.frame.size <= self._limit:
            why = fault(bytes(self.frame.kept))
            if why is not None:
                detail = f"the text around the records is not JSON: {why}; the records were kept"
                self._pieces.append(problem_piece(bytes(self.frame.kept), "not_json", detail))

    def _give_rest(self) -> None:
        if self._rest is not None:
            kept, size = len(self._rest.kept), self._rest.size
            detail = f"{self._rest_why}; the rest of the document from here, {size:,} bytes, first {kept:,} kept"
            self._pieces.append(problem_piece(bytes(self._rest.kept), "not_json", detail))

    def end_early(self, reason: str, why: str) -> None:
        """The input ended inside the document: its whole elements stand, the tail becomes one record with `reason`."""
        self.done = True
        self._check_elements()
        if self._rest is not None:
            self._give_rest()
            tail = b""
            if reason != "truncated_object":
                return
        elif self._in_list:
            tail = bytes(self._element.kept)
        else:
            tail = bytes(self.frame.kept[self._after_list :])
        self._pieces.append(problem_piece(tail.lstrip(BLANKS), reason, why))
