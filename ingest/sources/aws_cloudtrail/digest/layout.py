"""Which accounts, regions and days a place holds, and where in it a key of CloudTrail's own bucket lies.

What belongs here: the layout `[prefix/]AWSLogs/[o-…/]<account>/CloudTrail[-Digest]/<region>/YYYY/MM/DD/`, whatever part
of it a copy kept. What does not: reading files.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ingest.sources.aws_cloudtrail.digest.files import FOLDER, Chain, chain_of, tail_of
from ingest.sources.aws_cloudtrail.digest.places import Entry, Place

LOGS = "CloudTrail"
_ACCOUNT = re.compile(r"\d{12}\Z")
_ORGANISATION = re.compile(r"o-[a-z0-9]{10,32}\Z")
_ROOT = re.compile(r"(?P<above>.*?)/?(?P<inside>(?:AWSLogs/|o-[a-z0-9]{10,32}/)*\d{12}(?:/.*)?)\Z")
_PREFIX_DEPTH = 5  # folders that a trail's prefix may have before AWSLogs


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
                told = chain_of(entry.name)
                if told and wide.start < told[1] <= wide.end:
                    found.setdefault(told[0], []).append((told[1], entry))
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
