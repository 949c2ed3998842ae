"""The snapshots of a feed: the files of a folder or a bucket, each with the time when it was obtained.

What belongs here: finding them, their times, and a copy on this machine for a reader. What does not: loading (`feeds`).
"""

import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from glob import glob
from pathlib import Path
from tempfile import TemporaryDirectory

from ingest.reference.feeds import FeedError
from lake.storage.open import open_store
from lake.storage.s3_options import S3Options

# 2026-03-02, 20260302, each with an hour, minute and second after T, _ or - if there are any.
_TIME = re.compile(
    r"(?<!\d)((?:19|20)\d\d)-?([01]\d)-?([0-3]\d)(?:[T_-]([0-2]\d)[:-]?([0-5]\d)(?:[:-]?([0-5]\d)(?:[.]\d+)?)?Z?)?(?!\d)"
)
_UNFINISHED = (".part", ".tmp", ".crdownload")
_S3 = "s3://"


@dataclass(frozen=True)
class Snapshot:
    """One snapshot of a feed: the file's path or `s3://` address, empty where an API is asked; its time (naive UTC)."""

    place: str
    as_of: datetime

    @property
    def name(self) -> str:
        """Return the file's name."""
        return self.place.rsplit("/", 1)[-1]


def snapshots(path: str, s3: S3Options | None = None) -> list[Snapshot]:
    """Return the snapshots at a path, oldest first: a file, the files of a folder, or what a glob finds.

    In a bucket (`s3://bucket/prefix`, reached by `s3`) only the last part may be a glob. Hidden and unfinished files
    (`.part`, `.tmp`) are left out. Raises FeedError when there is nothing.
    """
    found = _objects(path, s3) if path.startswith(_S3) else _files(path)
    kept = [each for each in found if not each.name.startswith((".", "_")) and not each.name.endswith(_UNFINISHED)]
    if not kept:
        raise FeedError(f"{path}: no file is there")
    return sorted(kept, key=lambda each: (each.as_of, each.place))


def _files(path: str) -> Iterator[Snapshot]:
    place = Path(path)
    files: Iterable[Path] = place.iterdir() if place.is_dir() else [place]
    if not place.exists():
        files = map(Path, glob(path))  # noqa: PTH207 - an absolute pattern, of any folders
    for each in files:
        if each.is_file():
            yield Snapshot(str(each), time_of(each.name, datetime.fromtimestamp(each.stat().st_mtime, UTC)))


def _objects(path: str, s3: S3Options | None) -> Iterator[Snapshot]:
    folder, _, last = path.removeprefix(_S3).rpartition("/")
    if not folder or "*" in folder:
        raise FeedError(f"{path}: expected s3://bucket/prefix/, with a glob only in its last part")
    store, is_glob = open_store(_S3 + folder, s3), any(sign in last for sign in "*?[")
    whole = None if is_glob or not last else store.info(last)
    for each in [whole] if whole else store.list("" if is_glob else last):
        name = each.key if is_glob or whole else each.key.removeprefix(f"{last}/")
        if "/" not in name and (not is_glob or fnmatchcase(name, last)):
            yield Snapshot(store.url(each.key), time_of(name, each.modified_at))


def time_of(name: str, changed: datetime) -> datetime:
    """Return when a snapshot was obtained (naive UTC): the last time in its name, else when it was changed (aware)."""
    for found in reversed(list(_TIME.finditer(name))):
        try:
            return datetime(*(int(part or 0) for part in found.groups()))  # type: ignore[arg-type]
        except ValueError:
            continue
    return changed.astimezone(UTC).replace(tzinfo=None)


@contextmanager
def on_this_machine(snapshot: Snapshot, s3: S3Options | None = None) -> Iterator[Path | None]:
    """Give the file of a snapshot for as long as it is read; None where an API is asked."""
    if not snapshot.place.startswith(_S3):
        yield Path(snapshot.place) if snapshot.place else None
        return
    folder, _, name = snapshot.place.rpartition("/")
    scratch = (s3 or S3Options()).scratch.expanduser()
    scratch.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=scratch, prefix="snapshot-") as place:
        copy = Path(place) / name
        with open_store(folder, s3).open(name) as held, copy.open("wb") as out:
            shutil.copyfileobj(held, out, 1 << 20)
        yield copy
