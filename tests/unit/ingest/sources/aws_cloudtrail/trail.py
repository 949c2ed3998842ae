"""A trail as CloudTrail delivers it, with a key pair of its own: log files, hourly digests, their chain and signatures.

Made by the vendor's documentation ("CloudTrail digest file structure", "Custom implementations of CloudTrail log file
integrity validation"), not with the code under test.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ACCOUNT, REGION, BUCKET = "111122223333", "eu-central-1", "org-trail-logs"
START = datetime(2026, 3, 2, 4, 10, 31, tzinfo=UTC)  # digests run from ten past to ten past


@cache
def key_pair(name: str) -> rsa.RSAPrivateKey:
    """A key pair, one per name and test run."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pkcs1(name: str) -> bytes:
    """A public key as ListPublicKeys gives it: DER, PKCS#1."""
    return key_pair(name).public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)


def fingerprint(name: str) -> str:
    return hashlib.md5(pkcs1(name), usedforsecurity=False).hexdigest()


def listed(*names: str) -> dict[str, Any]:
    """The output of `aws cloudtrail list-public-keys` for some key pairs."""
    return {
        "PublicKeyList": [
            {
                "Value": base64.b64encode(pkcs1(name)).decode(),
                "Fingerprint": fingerprint(name),
                "ValidityStartTime": "2026-01-01T00:00:00+00:00",
                "ValidityEndTime": "2026-12-31T00:00:00+00:00",
            }
            for name in names
        ]
    }


@dataclass
class Trail:
    """Writes an hour after the other; `files` holds every object by key, `metadata` what S3 would keep beside it."""

    name: str = "org-trail"
    account: str = ACCOUNT
    region: str = REGION
    home: str = REGION
    key: str = "eu"
    prefix: str = ""
    organisation: str = ""
    at: datetime = START
    files: dict[str, bytes] = field(default_factory=dict)
    metadata: dict[str, dict[str, str]] = field(default_factory=dict)
    digests: list[str] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)
    _previous: dict[str, str] | None = None

    @property
    def top(self) -> str:
        organisation = f"{self.organisation}/" if self.organisation else ""
        return f"{self.prefix}AWSLogs/{organisation}{self.account}"

    def log(self, at: datetime, name: str, events: int = 3) -> str:
        """Deliver one log file; returns its key."""
        stamp = f"{at:%Y%m%dT%H%MZ}"
        folder = f"{self.top}/CloudTrail/{self.region}/{at:%Y/%m/%d}"
        key = f"{folder}/{self.account}_CloudTrail_{self.region}_{stamp}_{name}.json.gz"
        self.files[key] = gzip.compress(json.dumps({"Records": events_of(at, name, events)}).encode(), mtime=0)
        self.logs.append(key)
        return key

    def hour(self, logs: int = 2, *, backfill: bool = False) -> str:
        """Deliver some log files over one hour and the digest that names them; returns the digest's key."""
        start, end = self.at, self.at + timedelta(hours=1)
        step = timedelta(hours=1) / max(logs, 1)
        keys = [self.log(start + step * at, f"{self.key}{len(self.logs):06d}log") for at in range(logs)]
        self.at = end
        return self.digest(start, end, keys, backfill=backfill)

    def digest(self, start: datetime, end: datetime, logs: Sequence[str], *, backfill: bool = False) -> str:
        """Write a digest over some log files, chained to the one before it, signed."""
        folder = f"{self.top}/CloudTrail-Digest/{self.region}/{end:%Y/%m/%d}"
        name = f"{self.account}_CloudTrail-Digest_{self.region}_{self.name}_{self.home}_{end:%Y%m%dT%H%M%SZ}"
        key = f"{folder}/{name}{'_backfill' if backfill else ''}.json.gz"
        before = {} if backfill else self._previous or {}
        text = json.dumps(
            {
                "awsAccountId": self.account,
                "digestStartTime": f"{start:%Y-%m-%dT%H:%M:%SZ}",
                "digestEndTime": f"{end:%Y-%m-%dT%H:%M:%SZ}",
                "digestS3Bucket": BUCKET,
                "digestS3Object": key,
                "digestPublicKeyFingerprint": fingerprint(self.key),
                "digestSignatureAlgorithm": "SHA256withRSA",
                "newestEventTime": None,
                "oldestEventTime": None,
                "previousDigestS3Bucket": BUCKET if before else None,
                "previousDigestS3Object": before.get("key"),
                "previousDigestHashValue": before.get("hash"),
                "previousDigestHashAlgorithm": "SHA-256" if before else None,
                "previousDigestSignature": before.get("signature"),
                "logFiles": [self._named(each) for each in logs],
            },
            separators=(",", ":"),
        ).encode()
        signature = sign(self.key, end, key, text, before.get("signature"))
        self.files[key] = gzip.compress(text, mtime=0)
        self.metadata[key] = {"signature": signature, "signature-algorithm": "SHA256withRSA"}
        self.digests.append(key)
        if not backfill:
            self._previous = {"key": key, "hash": hashlib.sha256(text).hexdigest(), "signature": signature}
        return key

    def _named(self, key: str) -> dict[str, str]:
        content = gzip.decompress(self.files[key])
        times = {"newestEventTime": "2026-03-02T04:00:00Z", "oldestEventTime": "2026-03-02T04:00:00Z"}
        hashed = {"hashValue": hashlib.sha256(content).hexdigest(), "hashAlgorithm": "SHA-256"}
        return {"s3Bucket": BUCKET, "s3Object": key, **hashed, **times}

    def stop(self, hours: int) -> None:
        """Turn logging off for some hours: the next digest starts a chain of its own."""
        self.at += timedelta(hours=hours)
        self._previous = None

    def write(self, folder: Path, *, signed: bool) -> Path:
        """Copy the bucket into a folder as `aws s3 sync` does; signed: with each digest's metadata beside it."""
        for key, data in self.files.items():
            path = folder / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        for key, metadata in self.metadata.items() if signed else ():
            (folder / f"{key}.metadata.json").write_text(json.dumps({"ETag": '"x"', "Metadata": metadata}))
        return folder

    def upload(self, s3: Any, bucket: str) -> None:
        """Put every object into a bucket, digests with their signature as metadata."""
        for key, data in self.files.items():
            s3.put_object(Bucket=bucket, Key=key, Body=data, Metadata=self.metadata.get(key, {}))


def sign(key: str, end: datetime, place: str, text: bytes, before: str | None) -> str:
    """The hex signature of a digest: end time, bucket/key, hash of the content, signature before it or `null`."""
    lines = (f"{end:%Y-%m-%dT%H:%M:%SZ}", f"{BUCKET}/{place}", hashlib.sha256(text).hexdigest(), before or "null")
    return key_pair(key).sign("\n".join(lines).encode(), padding.PKCS1v15(), hashes.SHA256()).hex()


def events_of(at: datetime, name: str, count: int) -> list[dict[str, Any]]:
    """Some CloudTrail records, as far as landing them needs."""
    return [
        {
            "eventVersion": "1.08",
            "eventID": f"{name}-{number}",
            "eventTime": f"{at:%Y-%m-%dT%H:%M:%SZ}",
            "eventName": "ListBuckets",
            "eventSource": "s3.amazonaws.com",
            "awsRegion": REGION,
            "eventType": "AwsApiCall",
            "userIdentity": {"type": "AWSService", "invokedBy": "config.amazonaws.com"},
        }
        for number in range(count)
    ]


def regzip(data: bytes, old: bytes, new: bytes) -> bytes:
    """A gzip file with one word of its content replaced."""
    text = gzip.decompress(data)
    assert old in text
    return gzip.compress(text.replace(old, new), mtime=0)
