"""Log files compared with the digests that name them, and with what the lake has landed of them, by their names.

Missing, altered, extra and uncovered log files are found here; whether a digest is to be trusted is `chain`'s.
"""

import hashlib
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import PurePosixPath

from ingest.landing.land import receipts_since
from ingest.objects import ObjectGone
from ingest.sources.aws_cloudtrail.digest.chain import DUE, DigestFile
from ingest.sources.aws_cloudtrail.digest.files import HASH_ALGORITHM, Digest, NamedLog, delivered_at
from ingest.sources.aws_cloudtrail.digest.places import AccountFolder, Entry, Place, Span, log_entries, places_of
from ingest.sources.aws_cloudtrail.digest.report import Finding
from lake import ledger
from lake.ledger import LandingReceipt, ObjectMark
from lake.storage import paths
from lake.storage.store import Store

SOURCE = "aws_cloudtrail"
_LEEWAY = timedelta(hours=1)
_AT_ONCE = 8  # files read at once
_PIECE = 64 << 10  # stored bytes inflated at once; gzip makes at most a thousandfold of them
_ROUNDING = timedelta(hours=1)  # a file named in one hour may be delivered, and named by the digest of, the next


@dataclass
class Landed:
    """Objects that batches hold, by file name (CloudTrail's are unique), and the arrival hours that have landed."""

    objects: dict[str, list[tuple[str, ObjectMark]]] = field(default_factory=dict)
    hours: set[str] = field(default_factory=set)

    def take(self, receipt: LandingReceipt) -> None:
        """Add what a batch holds; one that waits for a decision holds nothing yet."""
        if receipt.status != "published":
            return
        self.hours.add(receipt.batch)
        for mark in receipt.objects:
            self.objects.setdefault(PurePosixPath(mark.name).name, []).append((receipt.batch, mark))

    def of(self, name: str) -> list[tuple[str, ObjectMark]]:
        """Return (batch, mark) of every batch that holds a file."""
        return self.objects.get(PurePosixPath(name).name, [])

    def batches(self, name: str) -> tuple[str, ...]:
        """Return the batches that hold a file."""
        return tuple(batch for batch, _ in self.of(name))

    def has_hour_of(self, at: datetime | None) -> bool:
        """Return whether the arrival hour of a delivery has landed as a batch."""
        return at is not None and paths.hour_name(paths.floor_hour(at)) in self.hours


def landed(store: Store, start: datetime, end: datetime) -> Landed:
    """Return what batches hold that may have read objects of a span of arrival hours (UTC, aware)."""
    found = Landed()
    for hour in paths.hours_between(start - _LEEWAY, end + _LEEWAY):
        receipt = ledger.landing(store, SOURCE, paths.hour_name(hour))
        if receipt is not None:
            found.take(receipt)
    for receipt in receipts_since(store, SOURCE, paths.floor_hour(start), hours=False):
        found.take(receipt)
    return found


@dataclass(frozen=True)
class Claim:
    """One log file as a digest names it, and whether that digest is proven."""

    log: NamedLog
    digest: DigestFile
    proven: bool

    @property
    def name(self) -> str:
        """Return the file's name without its folders; CloudTrail gives each name once."""
        return PurePosixPath(self.log.s3_object).name


@dataclass(frozen=True)
class Seen:
    """What became of a claim: its file, if that is there, and what is wrong."""

    claim: Claim
    entry: Entry | None
    finding: Finding | None = None
    landed: bool = False


class Listing:
    """The files of folders that were asked for, each folder listed once."""

    def __init__(self) -> None:
        self._folders: dict[tuple[str, str], dict[str, Entry]] = {}

    def find(self, place: Place, name: str) -> Entry | None:
        """Return a file, or None when it is not there."""
        folder = name[: name.rindex("/") + 1]
        known = self._folders.get((place.root, folder))
        if known is None:
            known = self._folders[place.root, folder] = {each.name: each for each in place.files(folder)}
        return known.get(name)


def claims(digests: Iterable[tuple[DigestFile, bool]], span: Span) -> dict[str, Claim]:
    """Return the log files delivered in a span that digests name, by file name; proven digests' words first."""
    found: dict[str, Claim] = {}
    for digest, proven in sorted(digests, key=lambda pair: pair[1]):
        for log in digest.digest.log_files if digest.digest else ():
            at = delivered_at(log.s3_object)
            if span.holds(at) if at else digest.within(span):
                claim = Claim(log, digest, proven)
                found[claim.name] = claim
    return found


def compare(
    found: Sequence[Claim],
    folders: list[AccountFolder],
    listing: Listing,
    landed: Landed,
    told: Callable[[int, int], None] = lambda done, of: None,
) -> list[Seen]:
    """Compare every claim with its file, several at once; `told` gets how many of how many were.

    Raises OSError when a file that is there cannot be read.
    """
    seen: list[Seen] = []
    located = [_locate(claim.log.s3_object, folders, listing) for claim in found]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for each in pool.map(lambda claim, at: _compare(claim, at, landed), found, located):
            seen.append(each)
            told(len(seen), len(found))
    return seen


def _locate(key: str, folders: list[AccountFolder], listing: Listing) -> tuple[Place, Entry] | None:
    for place, name in places_of(key, folders):
        entry = listing.find(place, name)
        if entry:
            return place, entry
    return None


def _compare(claim: Claim, at: tuple[Place, Entry] | None, landed: Landed) -> Seen:
    batches = landed.batches(claim.name)
    if at is None:
        return Seen(claim, None, _finding_of_missing(claim, batches))
    place, entry = at
    why = _difference(claim.log, place, entry)
    if why is None:
        return Seen(claim, None, _finding_of_missing(claim, batches))
    if why:
        finding = Finding(
            kind="altered_log_file",
            file=place.address(entry.name),
            why=f"{why}{_in_batches(batches)}",
            digest=claim.digest.address,
            batches=batches,
        )
        return Seen(claim, entry, finding)
    return _compared(claim, place, entry, landed)


def _finding_of_missing(claim: Claim, batches: tuple[str, ...]) -> Finding:
    return Finding(
        kind="missing_log_file",
        file=f"s3://{claim.log.s3_bucket}/{claim.log.s3_object}",
        why=f"its digest names it, and it is not there{_in_batches(batches)}",
        digest=claim.digest.address,
        batches=batches,
    )


def _in_batches(batches: tuple[str, ...]) -> str:
    return f"; landed in batch {', '.join(batches)}" if batches else "; no batch of the lake holds it"


def _difference(log: NamedLog, place: Place, entry: Entry) -> str | None:
    """Return how a file differs from what a digest says of it, empty when it does not, None when it is gone."""
    if log.hash_algorithm != HASH_ALGORITHM:
        return f"its digest hashes it by {log.hash_algorithm}, expected {HASH_ALGORITHM}"
    try:
        found = content_hash(place.chunks(entry))
    except (FileNotFoundError, ObjectGone):
        return None
    except zlib.error as problem:
        return f"its gzip is broken ({problem})"
    return "" if found == log.hash_value else f"its content has the hash {found}, not {log.hash_value}"


def content_hash(chunks: Iterable[bytes]) -> str:
    """Return the SHA-256 (hex) of a gzip file's content, in bounded memory.

    Raises:
        zlib.error: it is broken, cut off, or something follows its end (which a reader may take for records).
    """
    digest, unpacking = hashlib.sha256(), zlib.decompressobj(zlib.MAX_WBITS | 16)
    for chunk in chunks:
        for begin in range(0, len(chunk), _PIECE):
            if unpacking.eof:
                raise zlib.error("something follows its end")
            digest.update(unpacking.decompress(chunk[begin : begin + _PIECE]))
    if not unpacking.eof:
        raise zlib.error("it is cut off")
    if unpacking.unused_data:
        raise zlib.error("something follows its end")
    return digest.hexdigest()


def _compared(claim: Claim, place: Place, entry: Entry, landed: Landed) -> Seen:
    """Compare an intact file with what the lake landed under its name."""
    marks = landed.of(claim.name)
    if any(mark.fingerprint == entry.fingerprint for _, mark in marks):
        return Seen(claim, entry, landed=True)
    address, digest = place.address(entry.name), claim.digest.address
    if marks:
        batches = ", ".join(f"{batch} ({mark.bytes:,} bytes)" for batch, mark in marks)
        why = f"landed in batch {batches}, and replaced since: it has {entry.size:,} bytes now; land it again"
        named = landed.batches(claim.name)
        finding = Finding(kind="landed_differently", file=address, why=why, digest=digest, batches=named)
        return Seen(claim, entry, finding)
    if landed.has_hour_of(delivered_at(entry.name)):
        why = "its digest names it, its arrival hour has landed, and no batch holds it; land the hour again"
        return Seen(claim, entry, Finding(kind="not_landed", file=address, why=why, digest=digest))
    return Seen(claim, entry)


def unclaimed(
    folder: AccountFolder,
    region: str,
    span: Span,
    now: datetime,
    digests: Sequence[DigestFile],
    named: set[str],
    landed: Landed,
) -> Iterator[Finding]:
    """Yield the files among the log files of an account and region that its digests (all of `digests`) do not name."""
    covered = _merged(each.digest for each in digests if each.digest)
    uncovered: list[str] = []
    for entry in log_entries(folder, region, span):
        at = delivered_at(entry.name)
        if PurePosixPath(entry.name).name in named or (at and not span.holds(at)):
            continue
        address = folder.place.address(entry.name)
        if any(at is None or (each.start <= at and at + _ROUNDING <= each.end) for each in covered):
            batches = landed.batches(entry.name)
            why = f"no digest of its time names it{_in_batches(batches)}"
            yield Finding(kind="extra_log_file", file=address, why=why, batches=batches)
        elif at is None or at + _ROUNDING < now - DUE:
            uncovered.append(address)
    if uncovered:
        why = f"{len(uncovered):,} log files of account {folder.account} in {region} that no digest covers, this first"
        yield Finding(kind="uncovered_log_files", file=uncovered[0], why=why)


def _merged(digests: Iterable[Digest]) -> list[Span]:
    """Return the spans of time that digests cover without a break."""
    found: list[Span] = []
    for each in sorted(digests, key=lambda digest: digest.start):
        if found and each.start <= found[-1].end:
            found[-1] = Span(found[-1].start, max(found[-1].end, each.end))
        else:
            found.append(Span(each.start, each.end))
    return found
