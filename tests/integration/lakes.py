"""Looking at a lake from outside: its files, its rows, and the command line run in this process.

What belongs here: digests that say whether two lakes hold the same, a call of `headwater`. What does not: expectations.
"""

import contextlib
import hashlib
import io
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from lake.storage.store import LocalStore
from lake.upkeep.damage import examine
from orchestration.cli import main

_TIMES = ("landed_at", "first_landed_at", "seconds", "built_at", "bytes", "fingerprint", "same")


@dataclass(frozen=True)
class Said:
    """What a command answered: exit code, standard output and standard error."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def headwater(*words: object) -> Said:
    """Run the command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    code: Any = 0
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.setattr(sys, "argv", ["headwater", *map(str, words)])
        try:
            main()
        except SystemExit as ended:
            code = ended.code or 0
    return Said(code, out.getvalue(), err.getvalue())


def files(lake: Path, *folders: str) -> dict[str, str]:
    """Return every file of some folders of a lake with a hash of its bytes."""
    found = [path for folder in folders for path in sorted((lake / folder).rglob("*")) if path.is_file()]
    return {path.relative_to(lake).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def marks(lake: Path, folder: str) -> dict[str, tuple[int, int]]:
    """Return every file of a folder of a lake with its inode and time of change: equal when nobody wrote it."""
    found = [path for path in sorted((lake / folder).rglob("*")) if path.is_file()]
    return {path.relative_to(lake).as_posix(): (path.stat().st_ino, path.stat().st_mtime_ns) for path in found}


def rows(lake: Path) -> dict[str, str]:
    """Return a hash of the rows of every Parquet file of a lake, whatever their order, by key."""
    with duckdb.connect() as con:
        return {path.relative_to(lake).as_posix(): _digest(con, path) for path in _parquet(lake)}


def receipts(lake: Path) -> dict[str, Any]:
    """Return all receipts of a lake without the times at which they were written, and what follows from those.

    Equal rows may be other bytes (DuckDB writes with several threads): of a digest stays whether there is one. Raises
    AssertionError when a file is not what its receipt says, its digest included.
    """
    damaged = [f"{each.key} {each.found}" for each in examine(LocalStore(lake), share=1)]
    assert not damaged, damaged
    return {
        path.relative_to(lake).as_posix(): _timeless(json.loads(path.read_text()))
        for path in sorted((lake / "ledger").rglob("*.json"))
    }


def leftovers(lake: Path) -> list[str]:
    """Return what lies in the folders of unfinished work."""
    return [str(path) for name in ("_staging", "_journal") for path in (lake / name).rglob("*")]


def _parquet(lake: Path) -> Iterator[Path]:
    for folder in ("bronze", "quarantine", "silver", "gold", "ledger"):
        yield from sorted((lake / folder).rglob("*.parquet"))


def _digest(con: duckdb.DuckDBPyConnection, path: Path) -> str:
    found = con.execute(
        "select count(*) || ' ' || md5(coalesce(string_agg(line, '' order by line), ''))"
        " from (select md5(held::varchar) as line from read_parquet(?, hive_partitioning = false) as held)",
        [str(path)],
    ).fetchone()
    return str(found and found[0])


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: bool(inner) if key == "digest" else _timeless(inner)
            for key, inner in value.items()
            if key not in _TIMES
        }
    return [_timeless(inner) for inner in value] if isinstance(value, list) else value
