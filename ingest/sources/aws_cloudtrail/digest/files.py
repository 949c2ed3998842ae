"""CloudTrail's digest files: what one says, how its name is made, and the text that its signature covers.

Vendor: "CloudTrail digest file structure" and "Custom implementations of CloudTrail log file integrity validation",
AWS CloudTrail User Guide. Hashes are SHA-256 of the *uncompressed* content, in hex.
"""

import hashlib
import re
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec

FOLDER = "CloudTrail-Digest"
SIGNATURE_ALGORITHM = "SHA256withRSA"
HASH_ALGORITHM = "SHA-256"
MOST_BYTES = 256 << 20  # of one digest's text; an hour of 100,000 log files is 40 MB
_REGION = r"[a-z]{2}(?:-[a-z]+)+-\d+"
_NAME = re.compile(
    rf"(?P<account>\d{{12}})_CloudTrail-Digest_(?P<region>{_REGION})_(?P<trail>.+)_(?P<home>{_REGION})"
    r"_(?P<end>\d{8}T\d{6}Z)(?P<backfill>_backfill)?\.json\.gz\Z"
)
_DELIVERED = re.compile(r"_(?P<at>\d{8}T\d{4}Z)_[^/]*\Z")
_TAIL = re.compile(r"(?:^|/)(?P<account>\d{12})/(?P<tail>CloudTrail[^/]*/.+)\Z")


class DigestUnreadable(ValueError):
    """Bytes that are no digest file; the message says what is wrong with them."""


class NamedLog(msgspec.Struct, frozen=True, rename="camel"):
    """A log file that a digest names: where it was delivered, and the hash of its uncompressed content."""

    s3_bucket: str
    s3_object: str
    hash_value: str
    hash_algorithm: str = HASH_ALGORITHM


class Digest(msgspec.Struct, frozen=True, rename="camel"):
    """One digest: the log files delivered from `digest_start_time` to `digest_end_time`, and the digest before it.

    The digest that starts a chain has no previous one: all `previous_…` are None.
    """

    aws_account_id: str
    digest_start_time: str
    digest_end_time: str
    digest_s3_bucket: str
    digest_s3_object: str
    digest_public_key_fingerprint: str
    digest_signature_algorithm: str = SIGNATURE_ALGORITHM
    previous_digest_s3_bucket: str | None = None
    previous_digest_s3_object: str | None = None
    previous_digest_hash_value: str | None = None
    previous_digest_hash_algorithm: str | None = None
    previous_digest_signature: str | None = None
    log_files: tuple[NamedLog, ...] = ()

    @property
    def start(self) -> datetime:
        """Return when the deliveries that this digest covers begin (UTC, aware)."""
        return _moment(self.digest_start_time)

    @property
    def end(self) -> datetime:
        """Return when the deliveries that this digest covers end, exclusive (UTC, aware)."""
        return _moment(self.digest_end_time)


@dataclass(frozen=True, order=True)
class Chain:
    """What digests hang together: those of one trail (name and home region) in one account and region.

    Digests of log files that CloudTrail processed late (`_backfill`) make a chain of their own.
    """

    account: str
    region: str
    trail: str
    home: str
    backfill: bool = False

    def __str__(self) -> str:
        kind = " (backfill)" if self.backfill else ""
        return f"trail {self.trail} of account {self.account} in {self.region}{kind}"


def chain_of(name: str) -> tuple[Chain, datetime] | None:
    """Return the chain and the end time (UTC, aware) in a digest file's name; None when it is no such name."""
    found = _NAME.search(name)
    if not found:
        return None
    chain = Chain(found["account"], found["region"], found["trail"], found["home"], bool(found["backfill"]))
    return chain, datetime.strptime(found["end"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def delivered_at(name: str) -> datetime | None:
    """Return the delivery time (UTC, aware, to the minute) in a log file's name; None when it has none."""
    found = _DELIVERED.search(name)
    try:
        return datetime.strptime(found["at"], "%Y%m%dT%H%MZ").replace(tzinfo=UTC) if found else None
    except ValueError:
        return None


def tail_of(key: str) -> tuple[str, str] | None:
    """Return (account, what follows the account's folder) of a key; trails put any prefix before it."""
    found = _TAIL.search(key)
    return (found["account"], found["tail"]) if found else None


def inflate(data: bytes) -> bytes:
    """Return a digest file's text. Raises DigestUnreadable when the gzip is broken, or followed by something."""
    unpacking = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        text = unpacking.decompress(data, MOST_BYTES)
    except zlib.error as problem:
        raise DigestUnreadable(f"it is no gzip file ({problem})") from None
    if not unpacking.eof or unpacking.unused_data:
        why = "something follows its end" if unpacking.eof else "it is cut off, or longer than any digest"
        raise DigestUnreadable(f"its gzip is not whole: {why}")
    return text


def read(text: bytes) -> Digest:
    """Return what a digest's text says. Raises DigestUnreadable."""
    try:
        digest = msgspec.json.decode(text, type=Digest)
        if digest.end - digest.start < timedelta(0):
            raise DigestUnreadable("it ends before it starts")
    except (msgspec.DecodeError, ValueError) as problem:
        raise DigestUnreadable(f"it is not a digest's JSON: {problem}") from None
    return digest


def sha256(text: bytes) -> str:
    """Return the hash that CloudTrail's files are known by, of uncompressed content."""
    return hashlib.sha256(text).hexdigest()


def text_to_sign(digest: Digest, content_hash: str) -> bytes:
    """Return what the signature of a digest covers: end time, place, hash, and the signature before it or `null`."""
    place = f"{digest.digest_s3_bucket}/{digest.digest_s3_object}"
    before = digest.previous_digest_signature or "null"
    return "\n".join((digest.digest_end_time, place, content_hash, before)).encode()


def _moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
