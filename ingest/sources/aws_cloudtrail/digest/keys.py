"""The public keys that digest signatures are verified with, from files or from CloudTrail's ListPublicKeys.

Vendor: every region signs with keys of its own, and names them by a fingerprint whose making AWS does not document; so
a key from a file is known by its file name, or, for a file of another name, tried on every digest. A key is PKCS#1, DER
(ListPublicKeys: "The DER encoded public key value in PKCS#1 format").
"""

import base64
import binascii
import json
import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_public_key

from lake.base.errors import HeadwaterError
from lake.storage.aws import client, explained
from lake.storage.store import AwsAccess

_FINGERPRINT = re.compile(r"[0-9a-f]{32,64}\Z")
_KEY_SUFFIXES = frozenset((".pem", ".der", ".pub", ".json"))
_LEEWAY = timedelta(hours=2)  # ListPublicKeys is asked for this much more than a digest covers


class PublicKeyError(HeadwaterError, ValueError):
    """A file that holds no RSA public key."""


class Candidates(NamedTuple):
    """Keys that may have made a signature; `named` when the fingerprint names the one that must have."""

    keys: tuple[RSAPublicKey, ...]
    named: bool


class PublicKeys(Protocol):
    """Where the keys of a region come from."""

    def find(self, fingerprint: str, region: str, start: datetime, end: datetime) -> Candidates:
        """Return the keys that may have signed a digest of these times (UTC, aware); none when none is known.

        Raises:
            AccessDenied, StoreUnavailable: CloudTrail could not be asked.
        """
        ...


class FileKeys:
    """Keys from files and folders: PEM or DER named by fingerprint, or the output of `aws cloudtrail list-public-keys`.

    Raises:
        FileNotFoundError, PublicKeyError: a place that is not there, or a file that holds no RSA public key.
    """

    def __init__(self, places: Iterable[Path]) -> None:
        self._named: dict[str, RSAPublicKey] = {}
        self._unnamed: list[RSAPublicKey] = []
        for path in _files(places):
            for fingerprint, key in _keys(path):
                if fingerprint:
                    self._named[fingerprint] = key
                else:
                    self._unnamed.append(key)

    def find(self, fingerprint: str, region: str, start: datetime, end: datetime) -> Candidates:
        """Return the key of that fingerprint, or else those whose files tell none."""
        named = self._named.get(fingerprint.lower())
        return Candidates((named,), named=True) if named else Candidates(tuple(self._unnamed), named=False)


class AwsKeys:
    """Keys as CloudTrail lists them, per region; asked once for a time and remembered."""

    def __init__(self, access: AwsAccess) -> None:
        self._access = access
        self._known: dict[tuple[str, str], RSAPublicKey] = {}
        self._asked: dict[str, list[tuple[datetime, datetime]]] = {}

    def find(self, fingerprint: str, region: str, start: datetime, end: datetime) -> Candidates:
        """Ask for the digest's own time, and once more up to now, for a digest may be signed long after."""
        for first, last in ((start - _LEEWAY, end + _LEEWAY), (start - _LEEWAY, datetime.now(UTC))):
            if (region, fingerprint) in self._known:
                break
            if not any(since <= first and last <= until for since, until in self._asked.get(region, [])):
                self._ask(region, first, last)
        found = self._known.get((region, fingerprint))
        return Candidates((found,) if found else (), named=True)

    def _ask(self, region: str, first: datetime, last: datetime) -> None:
        asked: dict[str, Any] = {"StartTime": first, "EndTime": last}
        try:
            cloudtrail = client(replace(self._access, region=region, endpoint_url=None), "cloudtrail")
            while True:
                answer = cloudtrail.list_public_keys(**asked)
                for each in answer.get("PublicKeyList", []):
                    self._known[region, each["Fingerprint"]] = public_key(each["Value"])
                if not answer.get("NextToken"):
                    break
                asked["NextToken"] = answer["NextToken"]
        except PublicKeyError:
            raise
        except Exception as problem:
            raise explained(problem, "cloudtrail:ListPublicKeys", "", f"CloudTrail in {region}") from None
        self._asked.setdefault(region, []).append((first, last))


def verifies(key: RSAPublicKey, signature: str, text: bytes) -> bool:
    """Return whether a signature (hex) of a text was made with a key's private part: SHA256withRSA, PKCS#1 v1.5."""
    try:
        key.verify(binascii.unhexlify(signature), text, PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def public_key(data: bytes) -> RSAPublicKey:
    """Return the RSA key in PEM or DER bytes (PKCS#1 or SubjectPublicKeyInfo). Raises PublicKeyError."""
    try:
        key = (load_pem_public_key if data.lstrip().startswith(b"-----") else load_der_public_key)(data)
    except (ValueError, UnsupportedAlgorithm):
        raise PublicKeyError("no public key (expected PEM or DER, PKCS#1 or SubjectPublicKeyInfo)") from None
    if not isinstance(key, RSAPublicKey):
        raise PublicKeyError("a public key that is not RSA")
    return key


def _files(places: Iterable[Path]) -> Iterable[Path]:
    for place in places:
        if not place.exists():
            raise FileNotFoundError(f"{place}: no such file or folder of public keys")
        found = sorted(place.iterdir()) if place.is_dir() else [place]
        keys = [path for path in found if path.is_file() and (path == place or path.suffix in _KEY_SUFFIXES)]
        if not keys:
            raise PublicKeyError(f"{place}: no public key there (expected files {', '.join(sorted(_KEY_SUFFIXES))})")
        yield from keys


def _keys(path: Path) -> Iterable[tuple[str, RSAPublicKey]]:
    data = path.read_bytes()
    try:
        if path.suffix != ".json":
            return [(path.stem.lower() if _FINGERPRINT.match(path.stem.lower()) else "", public_key(data))]
        listed = json.loads(data)["PublicKeyList"]
        return [(each["Fingerprint"].lower(), public_key(base64.b64decode(each["Value"]))) for each in listed]
    except PublicKeyError as problem:
        raise PublicKeyError(f"{path}: {problem}") from None
    except (ValueError, KeyError, TypeError) as problem:
        raise PublicKeyError(f"{path}: not the output of `aws cloudtrail list-public-keys` ({problem!r})") from None
