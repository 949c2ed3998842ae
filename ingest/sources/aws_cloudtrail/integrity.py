"""Verifying CloudTrail's log files of a span of arrival hours: what others call, and the order of the steps.

The way goes through digests, log files and receipts; the steps are in `digest/`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from ingest.sources.aws_cloudtrail.digest.chain import DUE, DigestFile, Judged, Keyring, breaks, judge, load
from ingest.sources.aws_cloudtrail.digest.files import Chain
from ingest.sources.aws_cloudtrail.digest.keys import AwsKeys, FileKeys, PublicKeys
from ingest.sources.aws_cloudtrail.digest.logs import SOURCE, Landed, Listing, Seen, claims, compare, landed, unclaimed
from ingest.sources.aws_cloudtrail.digest.places import (
    LOGS,
    AccountFolder,
    Place,
    Span,
    above_accounts,
    account_folders,
    digest_entries,
    hour_span,
    open_place,
    places_of,
    regions,
)
from ingest.sources.aws_cloudtrail.digest.report import ChainSummary, Finding, Report
from lake.storage.store import AwsAccess, Store

SETTLED = DUE + timedelta(hours=1)  # after an hour's end, its digests and those that prove them are there
_BEFORE = timedelta(hours=2)  # of a span: a chain with a digest there is alive
_AFTER = timedelta(hours=2)  # the digests after a span prove its last one, and name what was delivered late in it


@dataclass(frozen=True)
class Root:
    """A root as the settings give it, opened: the place above the accounts, and the account that it is limited to."""

    place: Place
    only: str = ""


def open_root(root: str | Path, access: AwsAccess | None = None) -> Root:
    """Open a folder or s3:// URL that holds AWSLogs, or is a part of it down to one account. Raises OSError."""
    text = str(root) if str(root).startswith("s3://") else str(Path(root).expanduser().resolve())
    above, only = above_accounts(text)
    return Root(open_place(above, access), only)


def verify_hours(
    store: Store,
    root: str,
    digests: str | None,
    public_keys: str | Sequence[Path],
    access: AwsAccess,
    first: str,
    last: str,
    now: datetime,
    told: Callable[[int, int], None] = lambda done, of: None,
) -> Report:
    """Verify the log files that arrived in hours `YYYY-MM-DDTHH`, both included, as of `now` (UTC, aware).

    `root` and `digests` (None: the same) are folders or `s3://bucket/prefix`; `public_keys` are files, or "aws".
    `told` gets how many log files of how many were read.

    Raises:
        PublicKeyError, FileNotFoundError: a place holds no public key, or is not there.
        AccessDenied, StoreUnavailable: a bucket cannot be read; the message says what is missing.
    """
    span, logs = hour_span(first, last), open_root(root, access)
    keys = AwsKeys(access) if isinstance(public_keys, str) else FileKeys(public_keys)
    apart = open_root(digests, access) if digests else logs
    return verify(logs, apart, keys, first, last, now, landed(store, span.start, span.end), told)


def verify(
    logs: Root,
    digests: Root,
    keys: PublicKeys,
    first: str,
    last: str,
    now: datetime,
    landed: Landed,
    told: Callable[[int, int], None] = lambda done, of: None,
) -> Report:
    """Verify what was delivered in arrival hours `YYYY-MM-DDTHH`, both included, as of `now` (UTC, aware).

    Raises:
        AccessDenied, StoreUnavailable, OSError: a file or folder that is there cannot be read.
    """
    span, keyring, listing = hour_span(first, last), Keyring(keys), Listing()
    log_folders, digest_folders = (account_folders(each.place, each.only) for each in (logs, digests))
    judged = [each for folder in digest_folders for each in _chains(folder, span, now, keyring)]
    broken = [each for one in judged for each in _broken(one, span, now, digest_folders, listing)]
    files = [(each, each.name in one.proven) for one in judged for each in one.files]
    named = claims(files, span)
    seen = compare(list(named.values()), log_folders, listing, landed, told)
    extra = _extra(log_folders, judged, span, now, set(_every_name(files)), landed) if judged else _none(digests, span)
    findings = [*keyring.findings, *broken, *(each.finding for each in seen if each.finding), *extra]
    return _report(first, last, [_summary(each, span) for each in judged], seen, findings)


def _chains(folder: AccountFolder, span: Span, now: datetime, keyring: Keyring) -> Iterator[Judged]:
    for chain, entries in digest_entries(folder, span, _BEFORE, _AFTER).items():
        yield judge(chain, [load(folder.place, entry.name, end) for end, entry in entries], keyring)


def _broken(
    one: Judged, span: Span, now: datetime, folders: list[AccountFolder], listing: Listing
) -> Iterator[Finding]:
    """Yield the findings of a chain that are this span's business."""
    mine = {each.address for each in one.files if each.within(span)}
    yield from (each for each in one.findings if each.file in mine)

    def exists(key: str) -> bool:
        return any(listing.find(place, name) for place, name in places_of(key, folders))

    yield from breaks(one, span, now, exists)


def _every_name(files: Sequence[tuple[DigestFile, bool]]) -> Iterator[str]:
    for each, _ in files:
        for log in each.digest.log_files if each.digest else ():
            yield log.s3_object.rsplit("/", 1)[-1]


def _extra(
    folders: list[AccountFolder], judged: list[Judged], span: Span, now: datetime, named: set[str], landed: Landed
) -> Iterator[Finding]:
    for folder in folders:
        for region in regions(folder, LOGS):
            mine = [each for one in judged if _covers(one.chain, folder.account, region) for each in one.files]
            yield from unclaimed(folder, region, span, now, mine, named, landed)


def _covers(chain: Chain, account: str, region: str) -> bool:
    return not chain.backfill and (chain.account, chain.region) == (account, region)


def _none(digests: Root, span: Span) -> Iterator[Finding]:
    why = (
        f"no digest file ends between {span.start - _BEFORE:%Y-%m-%dT%H:%MZ} and {span.end + _AFTER:%Y-%m-%dT%H:%MZ}:"
        " turn on log file validation of the trail, or say where its digests are (cloudtrail_integrity.digests)"
    )
    yield Finding(kind="no_digests", file=digests.place.address(digests.only), why=why)


def _summary(one: Judged, span: Span) -> ChainSummary:
    mine = [each for each in one.files if each.within(span)] or list(one.files)
    starts = [each.digest.digest_start_time for each in mine if each.digest]
    return ChainSummary(
        chain=str(one.chain),
        digests=len(mine),
        proven=sum(each.name in one.proven for each in mine),
        first=min(starts, default=""),
        last=f"{mine[-1].end:%Y-%m-%dT%H:%M:%SZ}",
    )


def _report(first: str, last: str, chains: list[ChainSummary], seen: list[Seen], findings: list[Finding]) -> Report:
    bad = ("altered_log_file", "missing_log_file")
    intact = [each for each in seen if each.finding is None or each.finding.kind not in bad]
    return Report(
        source=SOURCE,
        first=first,
        last=last,
        digests=sum(each.digests for each in chains),
        log_files=len(seen),
        intact=len(intact),
        proven=sum(each.claim.proven for each in intact),
        landed=sum(each.landed for each in seen),
        bytes=sum(each.entry.size for each in seen if each.entry),
        chains=tuple(chains),
        findings=tuple(dict.fromkeys(findings)),
    )
