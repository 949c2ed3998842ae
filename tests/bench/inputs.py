"""What the bench reads: logs of the simulated estate, as long as wanted.

What belongs here: generating files, once. What does not: measuring.
"""

import gzip
from collections.abc import Sequence
from pathlib import Path

from orchestration.demo.estate import bench_lines

SOURCES = ("aws_cloudtrail", "okta_system_log", "windows_event")

_LINE_BYTES = 1200  # of the estate's CloudTrail, about


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

    def objects(self, source: str, files: int, file_bytes: int) -> Path:
        """A folder of plain NDJSON files of about so many bytes each; fewer and larger files hold the same bytes."""
        folder = self.folder / f"{source}-{files}x{file_bytes}"
        if not folder.exists():
            whole = self.lines(source, files * file_bytes // _LINE_BYTES, 1).read_bytes()
            folder.mkdir(parents=True)
            at = 0
            for number in range(files):
                end = whole.find(b"\n", min(len(whole) * (number + 1) // files, len(whole)) - 1) + 1
                (folder / f"{number:05}.ndjson").write_bytes(whole[at : end or len(whole)])
                at = end or len(whole)
        return folder


def size(paths: Sequence[Path]) -> int:
    """Bytes of some files."""
    return sum(path.stat().st_size for path in paths)
