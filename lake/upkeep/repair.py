"""Repair: what is damaged is put aside under `damaged/`, what can be derived again is made again, nothing is deleted.

Landing receipts are made again here, of the batch's files. Everything else follows from what is gone: tables are stale,
feeds are not loaded, batches land again.
"""

import re
import uuid
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import duckdb
import msgspec

from lake import ledger
from lake.base.sql import literal
from lake.ledger import FileMark, LandingReceipt, ObjectMark, build_receipts, encode, live_files
from lake.storage import duck, paths
from lake.storage.publish import Change, awaited, publish
from lake.storage.store import Store
from lake.upkeep.broken_receipts import CONDITION, JOURNAL_ENTRY, LANDING, MISSING, UNKNOWN, Damage
from lake.upkeep.damage import ICEBERG, examine, unreadable

_LANDED = (paths.BRONZE, paths.QUARANTINE)


class Repaired(msgspec.Struct, frozen=True):
    """What became of one damaged file: whether that mends it, and in words where it is and what is left to do."""

    damage: Damage
    mended: bool
    done: str


def repair(store: Store, sources: Collection[str] | None = None) -> Iterator[Repaired]:
    """Look at the whole lake, put aside what is damaged, and make again what can be; yield what was done.

    Raises:
        OSError: the lake cannot be written.
    """
    found = list(examine(store, sources, share=1.0))
    lost = {each.key: each for each in found if each.kind == LANDING}
    orphans = {each.key: each for each in found if each.state == UNKNOWN and each.key.startswith(_LANDED)}
    for each in found:
        if each.key not in lost and each.key not in orphans:
            yield _put_aside(store, each)
    yield from _receipts_again(store, lost, orphans)


def aside(store: Store, key: str) -> str:
    """Move a file to where damaged ones lie; return where it is now."""
    to = f"{paths.DAMAGED}/{key}"
    if store.info(to) is not None:
        to = f"{to}.{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:4]}"
    with store.lock("publish"):
        store.move(key, to)
    return to


def _put_aside(store: Store, damage: Damage) -> Repaired:
    """Put one file aside; say what is left to do."""
    if damage.kind == CONDITION:
        return Repaired(damage, False, "was left where it is, for nothing may land without it")
    if damage.kind == ICEBERG:
        return Repaired(damage, True, _table_aside(store, damage.key))
    if damage.state == MISSING:
        return Repaired(damage, False, "cannot be put aside: it is gone")
    if damage.state == UNKNOWN:
        return Repaired(damage, True, "was left where it is")
    also = ""
    if damage.kind == JOURNAL_ENTRY:
        also = "".join(f"; {aside(store, each)}" for each in _staged_for(store, damage.key))
    elif damage.kind == "reference file":
        also = "".join(f"; {aside(store, each)}" for each in _receipts_naming(store, damage.key))
    mended = not damage.key.startswith((*_LANDED, "signals"))
    return Repaired(damage, mended, f"is now {aside(store, damage.key)}{also}")


def _staged_for(store: Store, entry: str) -> list[str]:
    """Return what lies in staging for one entry of the journal, and for no other."""
    data = store.read(entry)
    names = set(re.findall(rf'"{paths.STAGING}/([^/"]+)/', data.decode(errors="replace"))) & awaited(store)
    return [each.key for name in sorted(names) for each in store.list(f"{paths.STAGING}/{name}")]


def _receipts_naming(store: Store, key: str) -> list[str]:
    """Return the receipts of reference tables that name a file as current: without them it is loaded anew."""
    held = store.read_all(f"{paths.LEDGER}/{paths.REFERENCE}/{key.split('/')[1]}")
    return [receipt for receipt, data in held if f'"{key}"'.encode() in data]


def _table_aside(store: Store, key: str) -> str:
    """Put an Iceberg table aside with its receipts, or all of them where it is the catalogue that is damaged."""
    parts = key.split("/")
    if len(parts) > 3:
        table = "/".join(parts[1:3])
        keys = [
            each.key for folder in ("iceberg", f"{paths.LEDGER}/iceberg") for each in store.list(f"{folder}/{table}")
        ]
    else:
        keys = [each.key for folder in ("iceberg", f"{paths.LEDGER}/iceberg") for each in store.list(folder)]
    for each in keys:
        aside(store, each)
    return f"was put aside with its table, {len(keys)} files that are now in {paths.DAMAGED}/"


def _receipts_again(store: Store, lost: dict[str, Damage], orphans: dict[str, Damage]) -> Iterator[Repaired]:
    """Make the receipts again that are damaged, and those of files that none names."""
    for key, damage in lost.items():
        _, _, source, name = key.split("/", 3)
        batch = name.removesuffix(".json")
        put = aside(store, key)
        made = _made_again(store, source, batch)
        mine = [each for each in orphans if batch in (live_files.batch_of(each) or ())]
        for each in mine:
            orphans.pop(each)
        if made is None:
            done = f"is now {put}; no file of its batch can be read: land it again"
            yield Repaired(damage, False, done)
        else:
            yield Repaired(damage, True, f"is now {put}, and was made again of the files of its batch: {_counts(made)}")
    for key, damage in list(orphans.items()):
        if key not in orphans:
            continue
        if unreadable(store, key):
            yield Repaired(damage, False, f"is now {aside(store, key)}; it cannot be read")
            continue
        for batch in _batches(store, key):
            made = _made_again(store, damage.source, batch)
            for each in [each for each in orphans if batch in (live_files.batch_of(each) or ())]:
                orphans.pop(each)
            if made is not None:
                done = f"is named by ledger/landing/{damage.source}/{batch}.json again: {_counts(made)}"
                yield Repaired(damage, True, done)


def _counts(receipt: LandingReceipt) -> str:
    return f"{receipt.landed:,} rows landed, {receipt.quarantined:,} quarantined"


def _batches(store: Store, key: str) -> list[str]:
    """Return the batches whose rows a file holds."""
    with duck.connect(store) as con:
        sql = (
            f"select distinct _batch from read_parquet({literal(store.url(key))}, hive_partitioning = false) order by 1"
        )
        return [str(row[0]) for row in con.execute(sql).fetchall()]


def _made_again(store: Store, source: str, batch: str) -> LandingReceipt | None:
    """Write the receipt of a batch again, from its files; None when none of them can be read.

    What was read is what the files hold. Checksums are those that builds have recorded, so that nothing becomes stale.
    """
    others = list(ledger.landings(store, source, []))
    fingerprint = next((each.contract_fingerprint for each in reversed(others)), "")
    known = _recorded_checksums(store, source)
    tail = next(("-".join(each.split("-")[2:]) for each in known.values()), f"{fingerprint[:12]}-")
    found: dict[str, list[Held]] = {}
    with duck.connect(store) as con:
        for room in _LANDED:
            files = _files_of(store, source, room, batch)
            found[room] = [held for key in files if (held := _held(con, store, room, key, batch)) is not None]
    if not any(found.values()):
        return None
    marks = {
        room: tuple(held.mark(known.get((held.key, held.summed)) or f"{held.summed}-{tail}") for held in files)
        for room, files in found.items()
    }
    landed, quarantined = (sum(mark.rows for mark in marks[room]) for room in _LANDED)
    first = min(held.modified_at for files in found.values() for held in files)
    reasons = [pair for held in found[paths.QUARANTINE] for pair in held.reasons]
    now = datetime.now(UTC).isoformat(timespec="seconds")
    made = LandingReceipt(
        source=source,
        batch=batch,
        status="published",
        read=landed + quarantined,
        landed=landed,
        quarantined=quarantined,
        quarantined_by_reason=_added(reasons),
        first_landed_at=first,
        landed_at=first,
        bytes_read=0,
        bytes_decoded=0,
        lateness_seconds={},
        contract_version="",
        contract_fingerprint=fingerprint,
        files=marks[paths.BRONZE],
        quarantine_files=marks[paths.QUARANTINE],
        objects=_objects(found),
        notes=(f"made again of the batch's files at {now}: what was erased or expired before, and drift, is unknown",),
    )
    publish(store, lambda: Change(receipts=((paths.landing_receipt(source, batch), encode(made)),)))
    return made


@dataclass(frozen=True)
class Held:
    """What one file holds of a batch: rows, their sums, the rows of all batches, objects and reasons with counts."""

    key: str
    hour: str
    rows: int
    summed: str
    all_rows: int
    bytes: int
    digest: str
    modified_at: str
    objects: tuple[tuple[str, int, str], ...]  # name, records, arrival
    reasons: tuple[tuple[str, int], ...]

    def mark(self, checksum: str) -> FileMark:
        """Return what a receipt says of it."""
        shared = self.all_rows if live_files.batch_of(self.key) is None else 0
        return FileMark(self.key, self.hour, self.rows, self.bytes, checksum, shared, self.digest)


def _held(con: duckdb.DuckDBPyConnection, store: Store, room: str, key: str, batch: str) -> Held | None:
    """Return what a file holds of a batch; None where that is nothing, or it cannot be read (`examine` tells then)."""
    file = f"read_parquet({literal(store.url(key))}, hive_partitioning = false)"
    rows = f"(from {file} where _batch = {literal(batch)})"
    hour, info = paths.hour_of(key), store.info(key)
    try:
        found = con.execute(f"select count(*), {ledger.row_sums(room)}, (select count(*) from {file}) from {rows}")
        count, summed, all_rows = found.fetchone() or (0, "", 0)
        if not count or hour is None or info is None:
            return None
        objects = con.execute(f"select _source_object, count(*), min(_arrived_at)::varchar from {rows} group by 1")
        named = tuple((str(name), int(records), str(at)) for name, records, at in objects.fetchall())
        why: list[tuple[str, int]] = []
        if room == paths.QUARANTINE:
            why = con.execute(f"select reason, count(*) from {rows} group by 1").fetchall()
    except duckdb.Error:
        return None
    with store.open(key) as opened:
        digest = ledger.digest(opened)
    at = info.modified_at.isoformat()
    return Held(key, ledger.hour_text(hour), count, summed, all_rows, info.size, digest, at, named, tuple(why))


def _objects(found: dict[str, list[Held]]) -> tuple[ObjectMark, ...]:
    """Return the objects of a batch. Size and change mark are not known, so they land anew when they are given."""
    read = [each for files in found.values() for held in files for each in held.objects]
    bad = _added((name, records) for held in found[paths.QUARANTINE] for name, records, _ in held.objects)
    arrived = {name: f"{at.replace(' ', 'T')}+00:00" for name, _, at in read}
    counts = _added((name, records) for name, records, _ in read)
    return tuple(ObjectMark(name, 0, "", arrived[name], count, bad.get(name, 0)) for name, count in counts.items())


def _added(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, number in pairs:
        found[name] = found.get(name, 0) + number
    return dict(sorted(found.items()))


def _files_of(store: Store, source: str, room: str, batch: str) -> list[str]:
    """Return the files that hold a batch's rows: its own, and shared ones of hours in which it has none of its own."""
    listed = [each.key for each in store.list(f"{room}/{source}") if each.key.endswith(".parquet")]
    own = [key for key in listed if batch in (live_files.batch_of(key) or ())]
    hours = {key.rsplit("/", 1)[0] for key in own}
    shared = [key for key in listed if live_files.batch_of(key) is None and key.rsplit("/", 1)[0] not in hours]
    return own + shared


def _recorded_checksums(store: Store, source: str) -> dict[tuple[str, str], str]:
    """Return, by file and sums of its rows, the checksums that builds of a source were made of."""
    return {
        (key, "-".join(checksum.split("-")[:2])): checksum
        for model in build_receipts.models(store)
        if model.endswith(f"__{source}")
        for receipt in build_receipts.of_model(store, model, []).values()
        for key, checksum in receipt.inputs
    }
