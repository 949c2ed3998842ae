"""Versions of the GeoIP tables: their receipts, and from when to when each is valid.

Validity is derived from the receipts, never stored: a newer version closes the older one without a file being touched.
"""

import json
import os
import uuid
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

FIRST = datetime(1970, 1, 1)
LAST = datetime(9999, 12, 31)


@dataclass(frozen=True)
class ReferenceReceipt:
    """What one load did: one version of one reference table. Times are naive UTC; files are keys → bytes."""

    table: str
    version: str
    database_type: str
    shape: str
    source_file: str
    source_sha256: str
    built_at: datetime
    learned_at: datetime
    networks: int
    without_payload: int
    aliases: int
    ranges: dict[str, int]  # ip version ("4", "6") → rows
    files: dict[str, int]
    loader: int

    @property
    def key(self) -> str:
        """The receipt's own key in the lake."""
        return receipt_key(self.table, self.version)


class Validity(NamedTuple):
    """The version to ask about addresses of `ip_version` at `valid_from` <= time < `valid_to` (naive UTC)."""

    version: str
    ip_version: int
    valid_from: datetime
    valid_to: datetime


def validity(receipts: Iterable[ReferenceReceipt]) -> list[Validity]:
    """One unbroken chain per IP version: from its first version at 1970-01-01 to its last at 9999-12-31.

    Per IP version, because vendors ship IPv4 and IPv6 as two databases. Of two versions with the same build time the
    one learned later counts.
    """
    ordered = sorted(receipts, key=lambda receipt: (receipt.built_at, receipt.learned_at, receipt.version))
    chain: list[Validity] = []
    for ip_version in (4, 6):
        of_kind = [receipt for receipt in ordered if receipt.ranges.get(str(ip_version))]
        starts = [FIRST, *(receipt.built_at for receipt in of_kind[1:]), LAST]
        for receipt, valid_from, valid_to in zip(of_kind, starts, starts[1:], strict=False):
            if valid_from < valid_to:
                chain.append(Validity(receipt.version, ip_version, valid_from, valid_to))
    return chain


def receipt_key(table: str, version: str) -> str:
    """The key of a version's receipt in the lake."""
    return f"ledger/reference/{table}/{version}.json"


def read_receipts(lake_root: Path, table: str) -> list[ReferenceReceipt]:
    """The receipts of every version of a table, oldest name first; empty when nothing was loaded."""
    folder = lake_root / "ledger" / "reference" / table
    return [_decode(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]


def write_receipt(lake_root: Path, receipt: ReferenceReceipt) -> None:
    """Write the receipt in one step: a reader sees all of it or none."""
    with_text = asdict(receipt) | {at: getattr(receipt, at).isoformat() for at in ("built_at", "learned_at")}
    staged = staging_path(lake_root, ".json")
    staged.write_text(json.dumps(with_text, indent=2) + "\n", encoding="utf-8")
    publish(staged, lake_root / receipt.key)


def staging_path(lake_root: Path, suffix: str) -> Path:
    """A fresh path in the lake's staging area."""
    folder = lake_root / "_staging"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"geoip-{uuid.uuid4().hex}{suffix}"


def publish(staged: Path, target: Path) -> None:
    """Move a finished file to its place, durable before it is visible."""
    with staged.open("rb") as written:
        os.fsync(written.fileno())
    target.parent.mkdir(parents=True, exist_ok=True)
    staged.replace(target)


def _decode(text: str) -> ReferenceReceipt:
    values = json.loads(text)
    times = {at: datetime.fromisoformat(values[at]) for at in ("built_at", "learned_at")}
    return ReferenceReceipt(**(values | times))
