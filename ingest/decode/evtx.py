"""Binary event logs of Windows (.evtx), record by record, in the JSON that evtx_dump writes.

The package `evtx` (of evtx_dump itself, https://github.com/omerbenamram/evtx) reads them chunk by chunk of 64 KiB; it
is the extra `evtx` of this project. What it cannot read of a damaged log is one record for each record or chunk that is
damaged, with its number; everything else lands. Loaded when an object is such a log.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from ingest.decode.records import JSON_FORM, DecodeReport, Limits, Piece, piece_of, problem_piece, too_large

ADVICE = "which the extra `evtx` reads: install `headwater[evtx]`, or deliver the log as XML or JSON"
DAMAGED = "damaged_record"
# "Windows XML Event Log (EVTX) format", libyal/libevtx: a file header of 4,096 bytes, then chunks of 65,536.
_HEADER_BYTES, _CHUNK_BYTES = 4096, 65536
_CHUNKS_AT = slice(42, 44)  # of the file header: how many chunks there are, more if the log was not closed
_NO_CHUNK = re.compile(r"chunk number (\d+): .*header magic")
_RECORDS = 512  # at a time
_SHOWN_CHARACTERS = 300


def parser_of() -> Callable[..., Any] | None:
    """Return what opens a log, or None where the extra is not installed."""
    try:
        from evtx import PyEvtxParser
    except ImportError:
        return None
    parser: Callable[..., Any] = PyEvtxParser
    return parser


class EventLog:
    """Gives the records of one log. `count` is their number so far; `damage` is why the file is shorter than it was."""

    form = JSON_FORM
    header = ""

    def __init__(
        self, parser: Callable[..., Any], file: BinaryIO, damage: str | None, limits: Limits, report: DecodeReport
    ) -> None:
        self._parser, self._file, self._damage, self._limits, self._report = parser, file, damage, limits, report
        self.count = 0

    def pieces(self) -> Iterator[Piece]:
        """All records in the order of the file, then what is missing at its end."""
        size = self._file.seek(0, 2)
        self._file.seek(0)
        chunks = int.from_bytes(self._file.read(128)[_CHUNKS_AT], "little")
        self._file.seek(0)
        lines: list[bytes] = []
        for each in self._records():
            if isinstance(each, str) and (unused := _NO_CHUNK.search(each)) and int(unused[1]) >= chunks:
                continue  # a log is longer than what was written of it
            if isinstance(each, bytes) and len(each) <= self._limits.max_record_bytes:
                lines.append(each)
                if len(lines) < _RECORDS:
                    continue
            yield from self._given(lines)
            lines = []
            if isinstance(each, str):
                yield self._damaged(each)
            elif len(each) > self._limits.max_record_bytes:
                self.count += 1
                yield too_large(each[: self._limits.max_record_bytes], len(each), self._report.bytes_decoded)
        yield from self._given(lines)
        cut = (size - _HEADER_BYTES) % _CHUNK_BYTES
        if self._damage is not None or cut:
            chunk = max(0, size - _HEADER_BYTES) // _CHUNK_BYTES
            why = f"the log ends inside chunk {chunk:,}, at byte {size:,}"
            yield self._damaged(f"{why}: {self._damage}" if self._damage else why)

    def _given(self, lines: list[bytes]) -> Iterator[Piece]:
        if lines:
            self.count += len(lines)
            self._report.bytes_decoded += sum(map(len, lines))
            yield piece_of(lines)

    def _damaged(self, why: str) -> Piece:
        self.count += 1
        return problem_piece(b"", DAMAGED, why[:_SHOWN_CHARACTERS])

    def _records(self) -> Iterator[bytes | str]:
        """Each record as JSON, or the sentence that says what cannot be read."""
        try:
            records = self._parser(self._file, number_of_threads=1).records_json()
        except Exception as problem:
            yield f"the log cannot be read: {problem}"
            return
        while True:
            try:
                record = next(records)
            except StopIteration:
                return
            except (KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError):
                raise
            except BaseException as problem:  # a panic of the package is no Exception
                yield str(problem)
                if not isinstance(problem, Exception):
                    return
            else:
                yield record["data"].encode()
