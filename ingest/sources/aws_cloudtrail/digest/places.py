"""Where digest and log files lie: a folder or a bucket; and which accounts, regions and days it holds.

The layout is `[prefix/]AWSLogs/[o-…/]<account>/CloudTrail[-Digest]/<region>/YYYY/MM/DD/`, whatever part of it a copy
kept. A copy in a folder has lost the objects' metadata, where CloudTrail puts a digest's signature. A file beside it,
`<digest>.metadata.json`, may give it back: the output of `aws s3api head-object`, or just its `Metadata`.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from ingest.objects import is_bucket_url
from ingest.sources.aws_cloudtrail.digest.files import FOLDER, Chain, chain_of, tail_of
from ingest.transports.bucket_object import PART_BYTES, Cost, bucket_place, read_part
from lake.storage.aws import client, explained
from lake.storage.store import AwsAccess

SIDECAR = ".metadata.json"
_CHUNK = 1 << 20
LOGS = "CloudTrail"
_ACCOUNT = re.compile(r"\d{12}\Z")
_ORGANISATION = re.compile(r"o-[a-z0-9]{10,32}\Z")
_ROOT = re.compile(r"(?P<above>.*?)/?(?P<inside>(?:AWSLogs/|o-[a-z0-9]{10,32}/)*\d{12}(?:/.*)?)\Z")
_PREFIX_DEPTH = 5  # folders that a trail's prefix may have before AWSLogs


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
        content = json.loads(path.read_bytes())
        content = content.get("Metadata", content)
        return {str(name).removeprefix("x-amz-meta-"): str(value) for name, value in content.items()}
    except (ValueError, AttributeError):
        return {}


@dataclass(frozen=True)
class Span:
    """A span of time, UTC and aware, end exclusive."""

    start: datetime
    end: datetime

    def holds(self, at: datetime) -> bool:
        """Return whether an instant lies in it."""
        return self.start <= at < self.end

    def days(self, before: timedelta = timedelta(0), after: timedelta = timedelta(0)) -> Iterator[str]:
        """Yield `YYYY/MM/DD/` of the days that it touches, with some more on both sides."""
        day, last = (self.start - before).date(), (self.end + after).date()
        while day <= last:
            yield f"{day:%Y/%m/%d}/"
            day += timedelta(days=1)


@dataclass(frozen=True)
class AccountFolder:
    """The folder of one account in a place, `/` at its end; `place` is where it lies."""

    place: Place
    prefix: str
    account: str


def above_accounts(root: str) -> tuple[str, str]:
    """Return (root above the accounts, folder inside it) of a root that may lie at or below one account's folder."""
    found = _ROOT.match(root.rstrip("/"))
    if not found or not found["above"]:
        return root, ""
    parts = found["inside"].split("/")
    account = next(at for at, part in enumerate(parts) if _ACCOUNT.match(part))
    return found["above"], "/".join(parts[: account + 1]) + "/"


def account_folders(place: Place, only: str = "") -> list[AccountFolder]:
    """Return the folders of accounts in a place; with `only`, that one."""
    return list(_accounts(place, only, depth=0, inside=False))


def _accounts(place: Place, prefix: str, depth: int, inside: bool) -> Iterator[AccountFolder]:
    name = Path(prefix).name
    if _ACCOUNT.match(name):
        yield AccountFolder(place, prefix, name)
    elif depth <= _PREFIX_DEPTH:
        for folder in place.folders(prefix):
            child = Path(folder).name
            if not inside or _ACCOUNT.match(child) or _ORGANISATION.match(child):
                yield from _accounts(place, folder, depth + 1, inside or child == "AWSLogs")


def regions(folder: AccountFolder, kind: str) -> list[str]:
    """Return the regions that an account's folder of log files (`CloudTrail`) or of digests has."""
    return [Path(each).name for each in folder.place.folders(f"{folder.prefix}{kind}/")]


def digest_entries(
    folder: AccountFolder, span: Span, before: timedelta, after: timedelta
) -> dict[Chain, list[tuple[datetime, Entry]]]:
    """Return the digest files that end in a span widened on both sides, by chain, oldest first."""
    found: dict[Chain, list[tuple[datetime, Entry]]] = {}
    wide = Span(span.start - before, span.end + after)
    for region in regions(folder, FOLDER):
        for day in wide.days():
            for entry in folder.place.files(f"{folder.prefix}{FOLDER}/{region}/{day}"):
                named = chain_of(entry.name)
                if named and wide.start < named[1] <= wide.end:
                    found.setdefault(named[0], []).append((named[1], entry))
    return {chain: sorted(each, key=lambda pair: pair[0]) for chain, each in sorted(found.items())}


def log_entries(folder: AccountFolder, region: str, span: Span) -> Iterator[Entry]:
    """Yield the log files in the folders of a span's days, whatever their names say."""
    for day in span.days():
        yield from folder.place.files(f"{folder.prefix}{LOGS}/{region}/{day}")


def places_of(key: str, folders: list[AccountFolder]) -> list[tuple[Place, str]]:
    """Return where a file of CloudTrail's own bucket may lie in some account folders."""
    found = tail_of(key)
    if not found:
        return []
    account, tail = found
    return [(each.place, each.prefix + tail) for each in folders if each.account == account]


def hour_span(first: str, last: str) -> Span:
    """Return the span of arrival hours `YYYY-MM-DDTHH`, both included."""
    start, end = (datetime.strptime(each, "%Y-%m-%dT%H").replace(tzinfo=UTC) for each in (first, last))
    return Span(start, end + timedelta(hours=1))
