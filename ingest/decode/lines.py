"""Whole lines to records: the fast path for NDJSON.

Belongs here: blocks that end at a line end. Not here: lines longer than a block (`framing.py`), documents.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from ingest.decode.records import Offsets, Piece, piece

_IS_BLANK = np.zeros(256, dtype=np.bool_)
_IS_BLANK[[0x20, 0x09, 0x0D]] = True


def lines_of(block: bytes) -> tuple[bytes, Offsets, int]:
    """The records of a block of whole lines: their text one behind the other, their offsets, and how many lines are
    records. Blank lines are none. The number is that of the line ends taken out, not that of the offsets.
    """
    if not block.endswith(b"\n"):
        block += b"\n"
    if b"\r" in block:
        block = block.replace(b"\r\n", b"\n")
    ends = np.flatnonzero(np.frombuffer(block, dtype=np.uint8) == 0x0A)
    text = block.replace(b"\n", b"")
    line_count = len(block) - len(text)
    offsets = np.zeros(len(ends) + 1, dtype=np.int32)
    offsets[1:] = ends - np.arange(len(ends))
    blank = np.diff(offsets) == 0
    empty = int(blank.sum())
    if empty:
        offsets = offsets[np.append(~blank, True)]
    return _without_blank(text, offsets, line_count - empty)


def _without_blank(text: bytes, offsets: Offsets, count: int) -> tuple[bytes, Offsets, int]:
    """Drop lines of nothing but spaces and tabs, told by their first character."""
    firsts = np.frombuffer(text, dtype=np.uint8)[offsets[:-1]]
    suspects = np.flatnonzero(_IS_BLANK[firsts])
    drop = [at for at in suspects.tolist() if not text[offsets[at] : offsets[at + 1]].strip(b" \t\r\n")]
    if not drop:
        return text, offsets, count
    sizes = np.diff(offsets)
    keep = np.ones(len(sizes), dtype=np.bool_)
    keep[drop] = False
    bytes_kept = np.frombuffer(text, dtype=np.uint8)[np.repeat(keep, sizes)]
    kept = np.zeros(int(keep.sum()) + 1, dtype=np.int32)
    np.cumsum(sizes[keep], out=kept[1:])
    return bytes_kept.tobytes(), kept, count - len(drop)


def runs(text: bytes, offsets: Offsets, special: list[int]) -> Iterator[Piece | bytes]:
    """The records in order: unbroken runs as pieces, and the text of each record whose index is in `special`."""
    begin = 0
    for at in [*special, len(offsets) - 1]:
        if at > begin:
            first, last = int(offsets[begin]), int(offsets[at])
            whole = first == 0 and last == len(text)
            yield piece(text if whole else text[first:last], (offsets[begin : at + 1] - first).astype(np.int32))
        if at < len(offsets) - 1:
            yield text[offsets[at] : offsets[at + 1]]
        begin = at + 1


def rows_at(offsets: Offsets, places: Iterable[int]) -> list[int]:
    """Indexes of the records in which the places lie."""
    found = list(places)
    if not found:
        return []
    rows: list[int] = np.unique(np.searchsorted(offsets, found, side="right") - 1).tolist()
    return rows


def longer_than(offsets: Offsets, limit: int) -> list[int]:
    """Indexes of the records with more than `limit` bytes."""
    rows: list[int] = np.flatnonzero(np.diff(offsets) > limit).tolist()
    return rows
