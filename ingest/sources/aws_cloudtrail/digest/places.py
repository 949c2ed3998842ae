"""Where digest and log files lie: a folder or a bucket, with what verifying needs of either.

What belongs here: listing one folder level, reading a file and its signature. What does not: what the names mean
(`digest`), which files are event data (`ingest.transports`).

A copy in a folder has lost the objects' metadata, where CloudTrail puts a digest's signature. A file beside it,
`<digest>.metadata.json`, may give it back: the output of `aws s3api head-object`, or just its `Metadata`.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ingest.transports.bucket_object import PART_BYTES, Cost, bucket_place, is_bucket_url, read_part
from lake.storage.aws import AwsAccess, client, explained

SIDECAR = ".metadata.json"
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Entry:
    """One file: its name within the place, size in bytes, and the mark that landing gives to its content."""

    name: str
    size: int
    fingerprint: str


class Place(Protocol):
    """A tree of files. Names are relative to `root`, `/`-separated; folders end in `/`, the place itself is empty."""

    root: str

    def folders(self, prefix: str) -> list[str]:
        """Return the folders right under a folder, in order; none when it does not exist."""
        ...

    def files(self, prefix: str) -> list[Entry]:
        """Return the files right under a folder, in order; none when it does not exist."""
        ...

    def read(self, name: str) -> tuple[bytes, dict[str, str]]:
        """Return a file's bytes and its metadata (`signature`, `signature-algorithm`). Raises FileNotFoundError."""
        ...

    def chunks(self, entry: Entry) -> Iterator[bytes]:
        """Yield the bytes of a listed file, piece by piece. Raises FileNotFoundError, ObjectGone, OSError."""
        ...

    def address(self, name: str) -> str:
        """Return a file's whole address, as people and receipts call it."""
        ...


class FolderPlace:
    """A folder of this machine. Raises FileNotFoundError when it does not exist."""

    def __init__(self, root: Path) -> None:
        self._path = root.expanduser().resolve()
        self.root = str(self._path)
        if not self._path.is_dir():
            raise FileNotFoundError(f"{self.root}: no such folder")

    def folders(self, prefix: str) -> list[str]:
        """Return the folders right under a folder."""
        return [f"{prefix}{each.name}/" for each in self._under(prefix) if each.is_dir()]

    def files(self, prefix: str) -> list[Entry]:
        """Return the files right under a folder, signatures beside digests left out."""
        found = [each for each in self._under(prefix) if each.is_file() and not each.name.endswith(SIDECAR)]
        stats = [(f"{prefix}{each.name}", each.stat()) for each in found]
        return [Entry(name, stat.st_size, f"{stat.st_size}-{stat.st_mtime_ns}") for name, stat in stats]

    def read(self, name: str) -> tuple[bytes, dict[str, str]]:
        """Return a file's bytes and the metadata that the file beside it holds."""
        beside = self._path / f"{name}{SIDECAR}"
        return (self._path / name).read_bytes(), _metadata(beside) if beside.is_file() else {}

    def chunks(self, entry: Entry) -> Iterator[bytes]:
        """Yield a file's bytes."""
        with (self._path / entry.name).open("rb") as stored:
            while chunk := stored.read(_CHUNK):
                yield chunk

    def address(self, name: str) -> str:
        """Return a file's path."""
        return str(self._path / name)

    def _under(self, prefix: str) -> Iterator[Path]:
        folder = self._path / prefix
        return iter(sorted(folder.iterdir(), key=lambda each: each.name) if folder.is_dir() else ())


class BucketTree:
    """A bucket, or a prefix of one: `s3://bucket/prefix`."""

    def __init__(self, url: str, access: AwsAccess) -> None:
        self._place, self._cost = bucket_place(url, access), Cost()
        self.root = self._place.url(self._place.prefix).rstrip("/")

    def folders(self, prefix: str) -> list[str]:
        """Return the folders right under a prefix."""
        below = self._place.prefix + prefix
        return [f"{prefix}{each}/" for each in self._place.levels(below, "/", self._cost)]

    def files(self, prefix: str) -> list[Entry]:
        """Return the objects right under a prefix."""
        below = self._place.prefix + prefix
        objects = ((each.key.removeprefix(below), each) for each in self._place.objects(below, self._cost))
        return [
            Entry(prefix + name, each.size, f"{each.etag}-{each.size}") for name, each in objects if "/" not in name
        ]

    def read(self, name: str) -> tuple[bytes, dict[str, str]]:
        """Return an object's bytes and its `x-amz-meta-…` metadata."""
        key = self._place.prefix + name
        try:
            answer = client(self._place.access, "s3").get_object(Bucket=self._place.bucket, Key=key)
            return answer["Body"].read(), dict(answer.get("Metadata", {}))
        except Exception as problem:
            raise explained(problem, "s3:GetObject", self._place.bucket, key) from problem

    def chunks(self, entry: Entry) -> Iterator[bytes]:
        """Yield the bytes of the object that was listed, picked up where a connection broke."""
        key, etag = self._place.prefix + entry.name, entry.fingerprint.rpartition("-")[0]
        for begin in range(0, entry.size, PART_BYTES):
            yield read_part(self._place, key, etag, entry.size, begin, min(begin + PART_BYTES, entry.size))

    def address(self, name: str) -> str:
        """Return an object's s3:// address."""
        return self._place.url(self._place.prefix + name)


def open_place(root: str | Path, access: AwsAccess | None = None) -> Place:
    """Return the place of a folder or an s3:// URL. Raises FileNotFoundError for a folder that does not exist."""
    text = str(root)
    return BucketTree(text, access or AwsAccess()) if is_bucket_url(text) else FolderPlace(Path(text))


def _metadata(path: Path) -> dict[str, str]:
    try:
        held = json.loads(path.read_bytes())
        held = held.get("Metadata", held)
        return {str(name).removeprefix("x-amz-meta-"): str(value) for name, value in held.items()}
    except (ValueError, AttributeError):
        return {}
