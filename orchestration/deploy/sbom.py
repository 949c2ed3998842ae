"""The bill of materials of a lock file as CycloneDX 1.6 JSON: each package with version, hashes and licences.

    python -m orchestration.deploy.sbom orchestration/deploy/requirements.lock > sbom.cdx.json

Hashes are those of the files that the lock allows; licences are what the installed packages say of themselves. The same
lock and the same packages give the same bytes. The format: https://cyclonedx.org/docs/1.6/json/
"""

import hashlib
import json
import re
import sys
from collections.abc import Iterator
from email.message import Message
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any, cast
from uuid import NAMESPACE_URL, uuid5

_PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)(.*(?:\n[ \t]+\S.*)*)", re.MULTILINE)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_CLASSIFIER = "License :: "
_LONGEST_NAME = 100  # some packages have their whole licence text where its name belongs


def bill_of(lock: bytes) -> dict[str, Any]:
    """Return the bill of a lock file. Raises ValueError: the lock has no package, or one without a hash."""
    components = sorted(_components(lock.decode()), key=lambda each: each["bom-ref"])
    if not components:
        raise ValueError("the lock file names no package")
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, hashlib.sha256(lock).hexdigest())}",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "headwater", **_told("headwater")}},
        "components": components,
    }


def _components(lock: str) -> Iterator[dict[str, Any]]:
    for name, version, rest in _PIN.findall(lock):
        hashes = [{"alg": "SHA-256", "content": each} for each in dict.fromkeys(_HASH.findall(rest))]
        if not hashes:
            raise ValueError(f"{name}=={version} has no hash in the lock file")
        address = f"pkg:pypi/{name.lower().replace('_', '-')}@{version}"
        told = _told(name)
        if told.get("version") != version:  # another one is installed, or none: nothing is known of this one
            told = {}
        yield {
            "type": "library",
            "bom-ref": address,
            "name": name,
            "version": version,
            "purl": address,
            "hashes": hashes,
            "licenses": told.get("licenses", [{"license": {"name": "unknown"}}]),
        }


def _told(name: str) -> dict[str, Any]:
    """Return version and licences of an installed package; nothing of another."""
    try:
        found = cast(Message, metadata(name))
    except PackageNotFoundError:
        return {}
    return {"version": found.get("Version"), "licenses": _licenses(found)}


def _licenses(found: Message) -> list[dict[str, Any]]:
    if expression := found.get("License-Expression"):
        return [{"expression": expression}]
    classifiers = [each for each in found.get_all("Classifier") or [] if each.startswith(_CLASSIFIER)]
    names = [each.rpartition(" :: ")[2] for each in classifiers]
    whole = " ".join((found.get("License") or "").split())
    if whole and len(whole) <= _LONGEST_NAME and whole.upper() != "UNKNOWN":
        names = [whole]
    return [{"license": {"name": each}} for each in names or ["unknown"]]


def main(lock: str) -> int:
    """Print the bill of a lock file."""
    try:
        bill = bill_of(Path(lock).read_bytes())
    except (OSError, ValueError) as problem:
        sys.stderr.write(f"error: {lock}: {problem}\n")
        return 1
    sys.stdout.write(json.dumps(bill, indent=1, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2] or ["orchestration/deploy/requirements.lock"]))
