"""`gold.threat_matches`: its columns, and where its hours lie.

What belongs here: the shape of the table. What does not: how its rows are found.
"""

from collections.abc import Callable, Iterable
from datetime import date, datetime

import msgspec

from lake import ledger
from lake.storage import paths
from lake.storage.parquet import typed_select
from lake.storage.store import Store

TABLE = "threat_matches"
COLUMNS = (
    ("match_id", "VARCHAR"),
    ("time_dt", "TIMESTAMP"),
    ("event_uid", "VARCHAR"),
    ("event_table", "VARCHAR"),
    ("event_source", "VARCHAR"),
    ("class_uid", "INTEGER"),
    ("class_name", "VARCHAR"),
    ("activity_name", "VARCHAR"),
    ("severity_id", "INTEGER"),
    ("severity", "VARCHAR"),
    ("status", "VARCHAR"),
    ("user_name", "VARCHAR"),
    ("user_uid", "VARCHAR"),
    ("device_name", "VARCHAR"),
    ("device_uid", "VARCHAR"),
    ("src_ip", "VARCHAR"),
    ("dst_ip", "VARCHAR"),
    ("attributes", "VARCHAR[]"),
    ("observable_kind", "VARCHAR"),
    ("observable_value", "VARCHAR"),
    ("indicator_id", "VARCHAR"),
    ("indicator_value", "VARCHAR"),
    ("indicator_uid", "VARCHAR"),
    ("indicator_name", "VARCHAR"),
    ("category", "VARCHAR"),
    ("malware", "VARCHAR"),
    ("threat_actor", "VARCHAR"),
    ("confidence", "INTEGER"),
    ("indicator_severity", "VARCHAR"),
    ("tlp", "VARCHAR"),
    ("feed", "VARCHAR"),
    ("provider", "VARCHAR"),
    ("version", "VARCHAR"),
    ("valid_from", "TIMESTAMP"),
    ("valid_to", "TIMESTAMP"),
    ("learned_at", "TIMESTAMP"),
    ("arrived_at", "TIMESTAMP"),
    ("known_at", "TIMESTAMP"),
    ("seconds_after", "BIGINT"),
    ("was_known", "BOOLEAN"),
    ("was_valid", "BOOLEAN"),
    ("_batch", "VARCHAR"),
    ("_source_object", "VARCHAR"),
    ("_source_row", "BIGINT"),
)
NAMES = ", ".join(name for name, _ in COLUMNS)


def file_of(hour: datetime) -> str:
    """Return the key of the matches of an event hour (naive UTC)."""
    return f"{paths.gold_folder(TABLE)}/{paths.hour_folder(hour)}/part.parquet"


def forgotten(store: Store, day: date, of: Callable[[str], bool]) -> tuple[list[str], list[tuple[str, str]]]:
    """Return what a change has to remove, and the receipts to write, so that hours of a day have no matches.

    `of` says which hours (`YYYY-MM-DDTHH`). What silver has of them still is searched again with the next run.
    """
    held = ledger.build_day(store, TABLE, day)
    gone = [each for hour, each in held.items() if of(hour) and (each.rows or each.inputs)]
    bare = {"rows": 0, "bytes": 0, "inputs": (), "counts": {}, "context": {}, "content": "", "file": ""}
    emptied = [msgspec.structs.replace(each, **bare) for each in gone]
    return [each.file for each in gone if each.file], ledger.with_builds(store, TABLE, emptied)


def select(store: Store, files: Iterable[str] | None = None) -> str:
    """Return a SELECT over the matches of the lake, or of some files (keys); typed also when there are none."""
    folder = paths.gold_folder(TABLE)
    if files is None:
        files = [f"{folder}/date=*/hour=*/*.parquet"] if next(iter(store.list(folder)), None) is not None else []
    return typed_select(COLUMNS, [store.url(key) for key in files])
