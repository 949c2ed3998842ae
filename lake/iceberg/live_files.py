"""What an Iceberg table holds now: its data files by source and hour, read from its current snapshot.

What belongs here: reading manifests. What does not: changing anything.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from pyiceberg.manifest import DataFile, ManifestFile
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot

from lake.iceberg.data_files import mark_of
from lake.ledger.published_tables import Slot


@dataclass(frozen=True)
class HeldFile:
    """One data file: the snapshot that added it, and the mark of its build (None: another program wrote it)."""

    file: DataFile
    snapshot_id: int
    mark: str | None


def held_files(table: Table, day: str | None = None) -> dict[Slot, list[HeldFile]]:
    """Return the files of the current snapshot, of one day or of all; nothing before the first."""
    found: dict[Slot, list[HeldFile]] = {}
    snapshot = table.current_snapshot()
    names = [field.name for field in table.spec().fields]
    for file, snapshot_id in _files([snapshot] if snapshot else [], table, day):
        folders = {name: file.partition[at] for at, name in enumerate(names)}
        slot = Slot(folders.get("source") or "", f"{folders.get('date')}T{folders.get('hour')}")
        if day in (None, slot.day):
            found.setdefault(slot, []).append(HeldFile(file, snapshot_id, mark_of(file.file_path)))
    return found


def _files(snapshots: Iterable[Snapshot], table: Table, day: str | None = None) -> Iterable[tuple[DataFile, int]]:
    seen: set[str] = set()
    for snapshot in snapshots:
        for manifest in snapshot.manifests(table.io):
            if manifest.manifest_path not in seen and _may_hold(manifest, table, day):
                seen.add(manifest.manifest_path)
                for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
                    yield entry.data_file, entry.snapshot_id or 0


def _may_hold(manifest: ManifestFile, table: Table, day: str | None) -> bool:
    """Whether a manifest may name files of a day, by the least and the greatest day that it tells."""
    at = next((at for at, each in enumerate(table.spec().fields) if each.name == "date"), None)
    if day is None or at is None or not manifest.partitions or manifest.partition_spec_id != table.spec().spec_id:
        return True
    lower, upper = manifest.partitions[at].lower_bound, manifest.partitions[at].upper_bound
    return lower is None or upper is None or lower.decode() <= day <= upper.decode()


def referenced(table: Table) -> set[str]:
    """Return the locations of all files that some snapshot of the table, or its log, still needs."""
    found = {table.metadata_location, *(entry.metadata_file for entry in table.metadata.metadata_log)}
    found |= {each.statistics_path for each in table.metadata.statistics}
    for snapshot in table.snapshots():
        found.add(snapshot.manifest_list)
        found |= {manifest.manifest_path for manifest in snapshot.manifests(table.io)}
    found |= {file.file_path for file, _ in _files(table.snapshots(), table)}
    return found
