"""Where JSON text opens, closes and separates: a vectorised look at brackets and commas outside strings.

It does not judge whether the text is JSON; it finds the places where it can be cut, without recursion and with a
few bytes of state between blocks.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

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
