"""Judging digests: each by its signature, by the hash that the next one records, and by what its chain lacks.

A digest is proven when a public key verifies a signature of it (its own, or the one that the next digest carries), or
when the next digest is proven and records its hash. So a copy without any metadata is proven but for its newest digest.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

from ingest.sources.aws_cloudtrail.digest.files import (
    HASH_ALGORITHM,
    SIGNATURE_ALGORITHM,
    Chain,
    Digest,
    DigestUnreadable,
    inflate,
    read,
    sha256,
    tail_of,
    text_to_sign,
)
from ingest.sources.aws_cloudtrail.digest.keys import Candidates, PublicKeyError, PublicKeys, verifies
from ingest.sources.aws_cloudtrail.digest.places import Place, Span
from ingest.sources.aws_cloudtrail.digest.report import Finding, Kind

DUE = timedelta(hours=2)  # after this, the digest of a delivery must be there; they are made hourly


class Signed(Enum):
    """What a signature says of a digest."""

    GOOD = "verified"
    BAD = "does not verify"
    UNKNOWN_KEY = "made with an unknown key"
    NO_KEYS = "not verified, for there are no public keys"
    NONE = "absent"


@dataclass(frozen=True)
class DigestFile:
    """A digest file as it was found; `problem` says why it is none."""

    name: str
    address: str
    end: datetime
    digest: Digest | None = None
    content_hash: str = ""
    signature: str | None = None
    problem: str = ""

    def within(self, span: Span) -> bool:
        """Return whether deliveries of a span are its business."""
        start = self.digest.start if self.digest else self.end - timedelta(hours=1)
        return start < span.end and self.end > span.start


def load(place: Place, name: str, end: datetime) -> DigestFile:
    """Return a digest file with its hash and signature, or with what makes it none. Raises OSError."""
    data, metadata = place.read(name)
    address = place.address(name)
    try:
        text = inflate(data)
        digest = read(text)
    except DigestUnreadable as problem:
        return DigestFile(name, address, end, problem=str(problem))
    return DigestFile(name, address, end, digest, sha256(text), metadata.get("signature"), _misfit(digest, name, end))


def _misfit(digest: Digest, name: str, end: datetime) -> str:
    if tail_of(digest.digest_s3_object) != tail_of(name):
        return f"it is a copy of another digest, {digest.digest_s3_object}"
    if digest.end != end:
        return f"the time in its name is not that in its content, {digest.digest_end_time}"
    if digest.digest_signature_algorithm != SIGNATURE_ALGORITHM:
        return f"it is signed by {digest.digest_signature_algorithm}, expected {SIGNATURE_ALGORITHM}"
    if digest.previous_digest_hash_algorithm not in (None, HASH_ALGORITHM):
        return f"it hashes by {digest.previous_digest_hash_algorithm}, expected {HASH_ALGORITHM}"
    return ""


@dataclass
class Keyring:
    """Public keys, with what was learnt: keys without a fingerprint get theirs, a region without keys is asked once."""

    keys: PublicKeys
    findings: list[Finding] = field(default_factory=list)
    _without: set[str] = field(default_factory=set)
    _learnt: dict[tuple[str, str], Candidates] = field(default_factory=dict)

    def state(self, file: DigestFile, region: str, signature: str | None) -> Signed:
        """Return what a signature says of a digest."""
        if file.digest is None or not signature:
            return Signed.NONE
        found = self._find(file, file.digest, region)
        if found is None:
            return Signed.NO_KEYS
        text = text_to_sign(file.digest, file.content_hash)
        for key in found.keys:
            if verifies(key, signature, text):
                self._learnt[region, file.digest.digest_public_key_fingerprint] = Candidates((key,), named=True)
                return Signed.GOOD
        return Signed.BAD if found.named and found.keys else Signed.UNKNOWN_KEY

    def _find(self, file: DigestFile, digest: Digest, region: str) -> Candidates | None:
        fingerprint = digest.digest_public_key_fingerprint
        if region in self._without:
            return None
        if (region, fingerprint) in self._learnt:
            return self._learnt[region, fingerprint]
        try:
            return self.keys.find(fingerprint, region, digest.start, digest.end)
        except (OSError, PublicKeyError) as problem:
            self._without.add(region)
            self.findings.append(Finding(kind="no_public_keys", file=file.address, why=f"{region}: {problem}"))
            return None


@dataclass(frozen=True)
class Judged:
    """A chain's digests, oldest first, with the names of those that are proven, and what is wrong with them."""

    chain: Chain
    files: Sequence[DigestFile]
    proven: frozenset[str]
    findings: tuple[Finding, ...]


def judge(chain: Chain, files: Sequence[DigestFile], keys: Keyring) -> Judged:
    """Judge a chain's digests (oldest first) by signatures and by each other, from the newest back."""
    for each in files:
        keys.state(each, chain.region, each.signature)  # an altered digest must not be the first to try a key
    naming: dict[tuple[str, str] | None, list[DigestFile]] = {}
    for each in files:
        if each.digest and each.digest.previous_digest_s3_object:
            naming.setdefault(tail_of(each.digest.previous_digest_s3_object), []).append(each)
    proven: set[str] = set()
    findings: list[Finding] = []
    for each in reversed(files):
        following = [other for other in naming.get(tail_of(each.name), []) if other is not each]
        after = next((other for other in following if other.name in proven), following[0] if following else None)
        verdict = _verdict(each, after, bool(after and after.name in proven), keys, chain.region)
        if verdict.proven:
            proven.add(each.name)
        findings += verdict.findings
    return Judged(chain, files, frozenset(proven), tuple(reversed(findings)))


def names(after: DigestFile, before: DigestFile) -> bool:
    """Return whether a digest names another one as the one before it."""
    named = after.digest.previous_digest_s3_object if after.digest else None
    return bool(named and tail_of(named) == tail_of(before.name))


@dataclass(frozen=True)
class _Verdict:
    proven: bool
    findings: tuple[Finding, ...] = ()


def _verdict(each: DigestFile, after: DigestFile | None, after_proven: bool, keys: Keyring, region: str) -> _Verdict:
    """Judge one digest; `after` is the next one, if that names it."""
    if each.digest is None or each.problem:
        return _blamed(each, "altered_digest", each.problem)
    recorded = after.digest if after else None
    own = keys.state(each, region, each.signature)
    carried = keys.state(each, region, recorded.previous_digest_signature if recorded else None)
    same = recorded is not None and recorded.previous_digest_hash_value == each.content_hash
    if after and not same and (after_proven or own is not Signed.GOOD):
        seal = "which is signed, " if after_proven else ""
        return _blamed(each, "altered_digest", f"its hash is not the one that the next digest, {seal}records", after)
    if own is Signed.BAD:
        intact = carried is Signed.GOOD or (same and after_proven)
        why = "the signature in its metadata is not its own" if intact else "its signature does not verify"
        return _Verdict(intact, _blamed(each, "altered_digest", why, after).findings)
    if after and not same:
        return _Verdict(True, _blamed(after, "altered_digest", f"it records another hash for {each.address}").findings)
    if own is Signed.GOOD or carried is Signed.GOOD or (same and after_proven):
        return _Verdict(True)
    return _unproven(each, after, own if own is not Signed.NONE else carried)


def _unproven(each: DigestFile, after: DigestFile | None, signed: Signed) -> _Verdict:
    if signed is Signed.NO_KEYS:
        return _Verdict(False)
    if signed is Signed.BAD:
        return _blamed(each, "altered_digest", "the signature that the next digest carries does not verify", after)
    if signed is Signed.UNKNOWN_KEY and each.digest is not None:
        fingerprint = each.digest.digest_public_key_fingerprint
        return _blamed(each, "unknown_public_key", f"no public key of fingerprint {fingerprint} verifies it")
    return _blamed(
        each,
        "unsigned_digest",
        "its signature is not in its metadata, nor beside it, and no later digest proves it yet",
    )


def _blamed(each: DigestFile, kind: Kind, why: str, by: DigestFile | None = None) -> _Verdict:
    return _Verdict(False, (Finding(kind=kind, file=each.address, why=why, digest=by.address if by else ""),))


def breaks(judged: Judged, span: Span, now: datetime, exists: Callable[[str], bool]) -> Iterator[Finding]:
    """Yield what a chain lacks in a span: digests that another one names, gaps, and its end.

    `exists` says whether a digest key of CloudTrail's bucket is there at all.
    """
    files = judged.files
    for at, each in enumerate(files):
        before = files[at - 1] if at else None
        if each.digest is None or each.digest.start <= span.start or each.digest.start >= span.end:
            continue
        named = each.digest.previous_digest_s3_object
        if named is None:
            if before and not judged.chain.backfill:
                why = f"it begins a new chain: no digest covers {_text(before.end)} to {each.digest.digest_start_time}"
                yield Finding(kind="digest_gap", file=each.address, why=why)
        elif not (before and names(each, before)) and not exists(named):
            since = f" No digest covers {_text(before.end)} to {each.digest.digest_start_time}." if before else ""
            place = f"s3://{each.digest.previous_digest_s3_bucket}/{named}"
            why = f"the digest after it names it, and it is not there.{since}"
            yield Finding(kind="missing_digest", file=place, why=why, digest=each.address)
    yield from _end(judged, span, now)


def _end(judged: Judged, span: Span, now: datetime) -> Iterator[Finding]:
    due = min(span.end, now - DUE)
    newest = judged.files[-1]
    if judged.chain.backfill or newest.end >= due:
        return
    why = (
        f"no digest follows it, though deliveries from {_text(newest.end)} to {_text(due)} must have one by now:"
        " digest files were removed, or logging was stopped"
    )
    yield Finding(kind="missing_digest", file=newest.address, why=why)


def _text(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
