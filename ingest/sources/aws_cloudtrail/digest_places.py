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
from typing import Any, Protocol

from lake.aws import AwsAccess, client, explained

SIDECAR = ".metadata.json"
_CHUNK = 64 << 10  # bytes as stored; gzip makes at most a thousandfold of it


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

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield a file's bytes, piece by piece. Raises FileNotFoundError, OSError."""
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

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield a file's bytes."""
        with (self._path / name).open("rb") as stored:
            while chunk := stored.read(_CHUNK):
                yield chunk

    def address(self, name: str) -> str:
        """Return a file's path."""
        return str(self._path / name)

    def _under(self, prefix: str) -> Iterator[Path]:
        folder = self._path / prefix
        return iter(sorted(folder.iterdir(), key=lambda each: each.name) if folder.is_dir() else ())


class BucketPlace:
    """A bucket, or a prefix of one: `s3://bucket/prefix`."""

    def __init__(self, url: str, access: AwsAccess) -> None:
        self._bucket, _, prefix = url.removeprefix("s3://").partition("/")
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._client = client(access, "s3")
        self.root = f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def folders(self, prefix: str) -> list[str]:
        """Return the common prefixes right under a prefix."""
        pages = self._pages(prefix)
        return [self._name(each["Prefix"]) for page in pages for each in page.get("CommonPrefixes", [])]

    def files(self, prefix: str) -> list[Entry]:
        """Return the objects right under a prefix."""
        objects = (each for page in self._pages(prefix) for each in page.get("Contents", []))
        return [
            Entry(self._name(each["Key"]), each["Size"], each["ETag"].strip('"'))
            for each in objects
            if not each["Key"].endswith("/")
        ]

    def read(self, name: str) -> tuple[bytes, dict[str, str]]:
        """Return an object's bytes and its `x-amz-meta-…` metadata."""
        answer = self._get(name)
        try:
            return answer["Body"].read(), dict(answer.get("Metadata", {}))
        except Exception as problem:
            raise explained(problem, "s3:GetObject", self._bucket, self._prefix + name) from None

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield an object's bytes."""
        answer = self._get(name)
        try:
            yield from answer["Body"].iter_chunks(_CHUNK)
        except Exception as problem:
            raise explained(problem, "s3:GetObject", self._bucket, self._prefix + name) from None

    def address(self, name: str) -> str:
        """Return an object's s3:// address."""
        return f"s3://{self._bucket}/{self._prefix}{name}"

    def _get(self, name: str) -> Any:
        try:
            return self._client.get_object(Bucket=self._bucket, Key=self._prefix + name)
        except Exception as problem:
            raise explained(problem, "s3:GetObject", self._bucket, self._prefix + name) from None

    def _pages(self, prefix: str) -> Iterator[Any]:
        pages = self._client.get_paginator("list_objects_v2")
        try:
            yield from pages.paginate(Bucket=self._bucket, Prefix=self._prefix + prefix, Delimiter="/")
        except Exception as problem:
            raise explained(problem, "s3:ListBucket", self._bucket, self._prefix + prefix) from None

    def _name(self, key: str) -> str:
        return key.removeprefix(self._prefix)


def open_place(root: str | Path, access: AwsAccess | None = None) -> Place:
    """Return the place of a folder or an s3:// URL. Raises FileNotFoundError for a folder that does not exist."""
    text = str(root)
    return BucketPlace(text, access or AwsAccess()) if text.startswith("s3://") else FolderPlace(Path(text))


def _metadata(path: Path) -> dict[str, str]:
    try:
        held = json.loads(path.read_bytes())
        held = held.get("Metadata", held)
        return {str(name).removeprefix("x-amz-meta-"): str(value) for name, value in held.items()}
    except (ValueError, AttributeError):
        return {}
