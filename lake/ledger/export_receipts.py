"""Receipts of deliveries: what went of one hour of a table to one destination, and what the destination holds.

Their shape, reading and writing them, and how many published events each destination holds (`deliveries`). Pushing and
what is behind are `lake.export`'s.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from lake import ledger
from lake.storage import paths
from lake.storage.store import Store


class Counted(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What became of one source's published rows. published = filtered + dropped + sampled_out + merged + rows.

    `filtered` are not asked for, `dropped` and `sampled_out` are reduced away, `merged` went up in the rows of their
    minute; rows = delivered + refused.
    """

    published: int
    rows: int
    filtered: int = 0
    dropped: int = 0
    sampled_out: int = 0
    merged: int = 0
    refused: int = 0

    @property
    def conserved(self) -> bool:
        """Whether every published row is accounted for."""
        return self.published == self.filtered + self.dropped + self.sampled_out + self.merged + self.rows

    @property
    def delivered(self) -> int:
        """Return the rows that the destination took."""
        return self.rows - self.refused

    @property
    def accounted(self) -> int:
        """Return the published events that stand at the destination, by themselves or in the row of their minute."""
        return self.delivered + self.merged


class ExportReceipt(
    msgspec.Struct, frozen=True, kw_only=True, gc=False
):  # without gc a ledger of years reads 3x faster
    """What one push of one hour did.

    `held` is the lake's table (`silver/authentication`), `table` its name there; `made_of` holds the mark of each
    source's build. `rows` and `checksum` are what was pushed without what was refused, `held_rows` and `held_checksum`
    what the destination said afterwards. Bytes: `bytes_before` of the lake's files, `bytes_after` of the same rows
    reduced (both zstd Parquet), `bytes_pushed` as they were sent. `left_behind`: see `Delivery`. `digests` are of the
    files at the destination, by their key there, as in `lake.ledger.FileMark`; older receipts have none.
    """

    destination: str
    identity: str
    table: str
    held: str
    hour: str
    declaration: str
    made_of: dict[str, str]
    counted: dict[str, Counted]
    rows: int
    checksum: int
    held_rows: int
    held_checksum: int
    proof: str
    bytes_before: int
    bytes_after: int
    bytes_pushed: int
    sent: int
    pushed_at: str
    seconds: float
    refused: int = 0
    refused_by_code: dict[str, int] = {}
    left_behind: int = 0
    remote: dict[str, str] = {}
    notes: tuple[str, ...] = ()
    digests: dict[str, str] = {}

    @property
    def matches(self) -> bool:
        """Whether the destination holds exactly what was pushed, and every row is accounted for."""
        if self.rows != self.held_rows or self.checksum != self.held_checksum:
            return False
        for each in self.counted.values():  # noqa: SIM110 - of three years: a generator takes twice as long
            if not each.conserved:
                return False
        return True

    @property
    def mismatch(self) -> str:
        """Return what is wrong, or ""."""
        if self.matches:
            return ""
        if self.held_rows != self.rows:
            return f"{self.rows:,} rows were pushed, {self.held_rows:,} are there"
        if self.held_checksum != self.checksum:
            return f"{self.rows:,} rows were pushed and are there, but not the same ones (checksum over keys)"
        return "rows are unaccounted for: " + ", ".join(
            source for source, each in self.counted.items() if not each.conserved
        )


_day = msgspec.json.Decoder(dict[str, ExportReceipt])


def exported(store: Store, destination: str, table: str) -> dict[str, ExportReceipt]:
    """Return the receipts of all hours of a table at a destination, by hour text. Raises BrokenReceipt."""
    found: dict[str, ExportReceipt] = {}
    for key, data in store.read_all(paths.export_receipts(destination, table)):
        day: dict[str, ExportReceipt] = ledger.decoded(key, data, _day)
        found.update(day)
    return found


def exported_day(store: Store, destination: str, table: str, day: str) -> dict[str, ExportReceipt]:
    """Return the receipts of one day (`YYYY-MM-DD`), by hour text. Raises BrokenReceipt."""
    key = paths.export_day(destination, table, day)
    try:
        return ledger.decoded(key, store.read(key), _day)
    except FileNotFoundError:
        return {}


def with_exports(store: Store, receipts: Iterable[ExportReceipt]) -> list[tuple[str, str]]:
    """Return (key, text) of the day files that result from putting receipts into them. Call it inside `publish`."""
    days: dict[tuple[str, str, str], dict[str, ExportReceipt]] = {}
    for each in receipts:
        days.setdefault((each.destination, each.table, each.hour[:10]), {})[each.hour] = each
    written = []
    for (destination, table, day), news in sorted(days.items()):
        held: Mapping[str, ExportReceipt] = exported_day(store, destination, table, day) | news
        text = msgspec.json.encode(dict(sorted(held.items()))).decode()
        written.append((paths.export_day(destination, table, day), text))
    return written


class DeliveredHour(NamedTuple):
    """An hour of a table at a destination."""

    destination: str
    table: str
    hour: str


def delivered_hours(store: Store, source: str, hours: Iterable[str]) -> list[DeliveredHour]:
    """Return the hours of which destinations hold rows of a source, or may: a push of them has begun. In order."""
    wanted = set(hours)
    held = {
        DeliveredHour(destination, table, hour)
        for destination, table in exporting(store)
        for hour, receipt in exported(store, destination, table).items()
        if hour in wanted and (counted := receipt.counted.get(source)) and counted.accounted
    }
    perhaps = {
        DeliveredHour(destination, table, hour)
        for destination, table in _folders(store, paths.EXPORTING)
        for hour in begun(store, destination, table)
        if hour in wanted
    }
    return sorted(held | perhaps)


def exporting(store: Store) -> list[tuple[str, str]]:
    """Return (destination, table) of everything that was ever delivered."""
    return _folders(store, f"{paths.LEDGER}/export")


def _folders(store: Store, root: str) -> list[tuple[str, str]]:
    return [(name, table) for name in store.folders(root) for table in store.folders(f"{root}/{name}")]


def begun(store: Store, destination: str, table: str) -> dict[str, str]:
    """Return the hours whose push has begun and not ended in a receipt, with since when (ISO, UTC).

    One may be under way; else it failed or was killed, and nobody knows what the destination took.
    """
    return {
        each.key.rsplit("/", 1)[-1]: each.modified_at.isoformat(timespec="seconds")
        for each in store.list(paths.export_begun(destination, table))
    }


def begun_key(destination: str, table: str, hour: str) -> str:
    """Return the key that stands while a push of an hour has begun and has not ended in a receipt."""
    return f"{paths.export_begun(destination, table)}/{hour}"


@dataclass(frozen=True)
class Deliveries:
    """Published events at destinations, (source, hour text) → destination → events; and a line for each thing wrong.

    Wrong is an hour whose destination holds other rows than were pushed, and a receipt that cannot be read.
    """

    events: Mapping[tuple[str, str], Mapping[str, int]]
    wrong: tuple[str, ...] = ()


def deliveries(store: Store) -> Deliveries:
    """Return what each destination holds of each source and event hour, by the receipts of pushes.

    An event that two exports of one table bring to one destination counts once; so does one that went up in the row of
    its minute. What was filtered, reduced away or refused does not count, nor does a push that does not match. Gold is
    made of published events and does not count either.
    """
    by_table: dict[tuple[str, str], dict[tuple[str, str], int]] = {}
    wrong = []
    for destination, table in exporting(store):
        try:
            receipts = exported(store, destination, table)
        except ledger.BrokenReceipt as problem:
            wrong.append(f"{destination}/{table}: {problem}")
            continue
        for hour, receipt in sorted(receipts.items()):
            if not receipt.matches:
                wrong.append(f"{destination}/{table} {hour}: {receipt.mismatch}")
            elif receipt.held.startswith(f"{paths.SILVER}/"):
                for source, counted in receipt.counted.items():
                    held = by_table.setdefault((source, hour), {})
                    place = (destination, receipt.held)
                    held[place] = max(held.get(place, 0), counted.accounted)
    return Deliveries({at: _by_destination(held) for at, held in by_table.items()}, tuple(wrong))


def _by_destination(held: Mapping[tuple[str, str], int]) -> dict[str, int]:
    found: dict[str, int] = {}
    for (destination, _), events in sorted(held.items()):
        found[destination] = found.get(destination, 0) + events
    return found
