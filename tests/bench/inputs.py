"""What the bench reads: logs of the simulated estate, as long as wanted.

What belongs here: generating files, once. What does not: measuring.
"""

import gzip
from collections.abc import Sequence
from pathlib import Path

from orchestration.estate import bench_lines

SOURCES = ("aws_cloudtrail", "okta_system_log", "windows_event")


class Inputs:
    """Files below `folder`, made when they are first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def lines(self, source: str, events: int, hours: int) -> Path:
        """One NDJSON file of a source's events, spread over `hours` event hours."""
        path = self.folder / f"{source}-{events}-{hours}h.ndjson"
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as out:
                out.writelines(bench_lines(source, events, hours=hours))
        return path

    def small_files(self, source: str, events: int, files: int) -> Path:
        """The same events as `lines` of one hour, in a folder of many gzipped files."""
        folder = self.folder / f"{source}-{events}-{files}files"
        if not folder.exists():
            whole = self.lines(source, events, 1).read_bytes().splitlines(keepends=True)
            folder.mkdir(parents=True)
            for number in range(files):
                (folder / f"{number:05}.ndjson.gz").write_bytes(gzip.compress(b"".join(whole[number::files]), 1))
        return folder


def shares(events: int) -> list[tuple[str, int]]:
    """The same number of events for every source."""
    return [(source, events // len(SOURCES)) for source in SOURCES]


def size(paths: Sequence[Path]) -> int:
    """Bytes of some files."""
    return sum(path.stat().st_size for path in paths)
