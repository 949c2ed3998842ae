"""Small lakes whose silver is written by the tests themselves, with indexes as a build writes them, and lists."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from ingest.reference.observables import observable_key
from ingest.reference.tables import INDICATORS, columns_of
from lake import ledger
from lake.base.sql import literal, quoted
from lake.ledger import build_receipts
from lake.ledger.build_receipts import BuildReceipt
from lake.matching import matches
from lake.matching.index import staged_indexes, staged_statements
from lake.matching.match import Matched, match
from lake.ocsf.attributes import declared_classes
from lake.ocsf.columns import columns, conform
from lake.storage import paths
from lake.storage.publish import Change, Workplace, publish
from lake.storage.store import Store
from tests.unit.lake.stores import asked
from tests.unit.ocsf.spelling import connection

CLASSES = declared_classes()
START = datetime(2026, 3, 2)
FOREVER = datetime(9999, 12, 31)
PIPELINE = (("_batch", "VARCHAR"), ("_source_object", "VARCHAR"), ("_source_row", "BIGINT"))


def at(hour: float) -> datetime:
    """The time so many hours after the start."""
    return START + timedelta(hours=hour)


@dataclass(frozen=True)
class Event:
    """One event: when, its uid, and its attributes as nested values (`{"src_endpoint": {"ip": …}}`)."""

    hour: float
    uid: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    table: str = "authentication"
    source: str = "okta"
    arrived: float = 0.0  # hours after it happened


@dataclass(frozen=True)
class Indicator:
    """One row of a list; times are hours after the start."""

    feed: str
    value: str
    learned: float
    until: float | None = None
    kind: str = "ip"
    valid_from: float | None = None
    category: str = "c2"
    uid: str = ""

    @property
    def row(self) -> dict[str, Any]:
        key = observable_key(self.kind, self.value)
        end = FOREVER if self.until is None else at(self.until)
        return dict.fromkeys(columns_of(INDICATORS)) | {
            "feed": self.feed,
            "provider": f"provider of {self.feed}",
            "version": f"v{self.learned:g}",
            "entry": key.value,
            "kind": self.kind,
            "value": key.value,
            "prefix": key.prefix,
            "key_high": str(key.high),
            "key_low": str(key.low),
            "uid": self.uid or None,
            "category": self.category,
            "valid_from": at(self.learned if self.valid_from is None else self.valid_from),
            "valid_to": end,
            "learned_at": at(self.learned),
            "closed_at": None if self.until is None else end,
        }


def reference(folder: Path, indicators: Iterable[Indicator]) -> str:
    """A SELECT of indicators, as `reference.indicators` gives them."""
    types = ", ".join(f"{quoted(name)}::{type_} as {quoted(name)}" for name, type_ in columns_of(INDICATORS).items())
    rows = [each.row for each in indicators]
    path = folder / f"indicators-{len(list(folder.glob('indicators-*')))}.parquet"
    con = connection()
    given = pa.Table.from_pylist(rows or [dict.fromkeys(columns_of(INDICATORS))])  # noqa: F841
    con.execute(
        f"copy (select {types} from given{'' if rows else ' limit 0'}) to {literal(str(path))} (format parquet)"
    )
    return f"select * from read_parquet({literal(str(path))})"


def build(
    store: Store, events: Sequence[Event], hours: Iterable[int] = (), index: bool = True, mark: str = "1"
) -> None:
    """Publish the hours of some events, and `hours` without any, as a build does; `mark` tells builds apart."""
    slots: dict[tuple[str, str, int], list[Event]] = {}
    for each in events:
        slots.setdefault((each.table, each.source, int(each.hour)), []).append(each)
    tables = {(table, source) for table, source, _ in slots} or {("authentication", "okta")}
    for table, source in sorted(tables):
        mine = {hour: found for (t, s, hour), found in slots.items() if (t, s) == (table, source)}
        _publish(store, table, source, {**{hour: [] for hour in hours}, **mine}, index, mark)


def _publish(
    store: Store, table: str, source: str, hours: Mapping[int, Sequence[Event]], index: bool, mark: str
) -> None:
    model, receipts, moves, deletes = f"{table}__{source}", [], [], []
    with Workplace(store, "build") as place, connection() as con:
        folder = place.path / model
        folder.mkdir()
        for hour, found in hours.items():
            if found:
                _write(con, folder / paths.hour_folder(at(hour)) / "part.parquet", table, found)
        if index:
            for statement in staged_statements(CLASSES[table], folder, folder / "none", ()):
                con.execute(statement)
        indexes = staged_indexes(folder)
        for hour, found in hours.items():
            text = ledger.hour_text(at(hour))
            key = f"{paths.silver_folder(table, source)}/{paths.hour_folder(at(hour))}/part.parquet"
            path, held = folder / paths.hour_folder(at(hour)) / "part.parquet", bool(found)
            receipts.append(
                BuildReceipt(
                    model=model,
                    source=source,
                    table=table,
                    hour=text,
                    rows=len(found),
                    bytes=path.stat().st_size if held else 0,
                    inputs=(("bronze", f"{mark} {sorted(map(repr, found))}"),),
                    mapping="mapping",
                    built_at=mark,
                    file=key if held else "",
                    index=indexes.mark(text) if held else None,
                )
            )
            if held:
                moves.append((place.key_of(path), key))
            else:
                deletes += [key, paths.index_file(key)]
            if indexed := indexes.files.get(text):
                moves.append((place.key_of(indexed), paths.index_file(key)))
        written = tuple(build_receipts.merged_days(store, model, receipts))
        publish(store, lambda: Change(moves=tuple(moves), deletes=tuple(deletes), receipts=written))


def _write(con: duckdb.DuckDBPyConnection, path: Path, table: str, events: Sequence[Event]) -> None:
    rows = [_row(number, each) for number, each in enumerate(events)]
    given = pa.Table.from_pylist(rows)  # noqa: F841
    con.execute("set timezone = 'UTC'")
    types = {row[0]: row[1] for row in con.execute("describe select * from given").fetchall()}
    declared = [*columns(CLASSES[table]), *PIPELINE]
    selected = [
        *conform(columns(CLASSES[table]), {name: type_ for name, type_ in types.items() if name[0] != "_"}, "given"),
        *(f"given.{name}::{type_} as {name}" for name, type_ in PIPELINE),
    ]
    assert len(selected) == len(declared)
    path.parent.mkdir(parents=True, exist_ok=True)
    con.execute(f"copy (select {', '.join(selected)} from given) to {literal(str(path))} (format parquet)")


def _row(number: int, event: Event) -> dict[str, Any]:
    when = at(event.hour)
    arrived = when + timedelta(hours=event.arrived)
    metadata = {"uid": event.uid, "logged_time": int((arrived - datetime(1970, 1, 1)).total_seconds() * 1000)}
    own = {"time_dt": when, "class_uid": 3002, "class_name": "Authentication", "severity_id": 1, "severity": "Low"}
    return {
        **own,
        **event.attributes,
        "metadata": metadata,
        "_batch": "b",
        "_source_object": "o",
        "_source_row": number,
    }


def logon(hour: float, uid: str, ip: str, **more: Any) -> Event:
    """A logon of ann from an address."""
    return Event(hour, uid, {"src_endpoint": {"ip": ip}, "user": {"name": "ann", "uid": "u-1"}}, **more)


def matched(store: Store, folder: Path, indicators: Iterable[Indicator], **options: Any) -> Matched:
    """Run matching over some lists."""
    return match(store, reference(folder, indicators), CLASSES, **options)


def rows(store: Store, columns: str = "event_uid, indicator_value", order: str = "all") -> list[tuple[Any, ...]]:
    """What `gold.threat_matches` holds."""
    with asked(store) as con:
        return con.execute(f"select {columns} from ({matches.select(store)}) order by {order}").fetchall()


def everything(store: Store) -> list[tuple[Any, ...]]:
    """All that the matches say, in order."""
    return rows(store, "columns(* exclude (_batch))", "match_id")
