"""Dispositions: what somebody says of a finding after looking at it. They are added and never changed.

What belongs here: the columns, adding, and the SELECT over all of them with the time for which each holds. What does
not: reading files that people send (`disposition_files`), commands.

One file for each act of adding, `signals/dispositions/date=<day of adding>/<id>.parquet`, published through the
journal: killed anywhere, the lake has all of an act's rows or none. The last one counts, by the time that was given
(`at`), then by the time of adding; what was said before stays. (What became of an event, published or filtered, is
another thing: `ledger/dispositions`.)
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq

from lake.base.sql import empty_select, literal
from lake.storage import duck, paths
from lake.storage.publish import Change, Workplace, publish
from lake.storage.store import Store

FOLDER = "signals/dispositions"
TRUE = "true_positive"
VALUES = (TRUE, "false_positive", "benign", "duplicate", "inconclusive")
COLUMNS = (
    ("product", "VARCHAR"),
    ("finding_uid", "VARCHAR"),
    ("disposition", "VARCHAR"),
    ("by", "VARCHAR"),
    ("note", "VARCHAR"),
    ("at", "TIMESTAMP"),
    ("added_at", "TIMESTAMP"),
    ("origin", "VARCHAR"),
)
_SCHEMA = pa.schema([(name, pa.timestamp("us") if type_ == "TIMESTAMP" else pa.string()) for name, type_ in COLUMNS])


@dataclass(frozen=True)
class Disposition:
    """What is said of one finding. `at`: when it was decided, UTC; None: when it is added. `where`: for messages."""

    finding_uid: str
    disposition: str
    by: str = ""
    note: str = ""
    at: datetime | None = None
    where: str = ""


@dataclass(frozen=True)
class Refused:
    """A disposition that was not taken, and why."""

    disposition: Disposition
    reason: str


@dataclass(frozen=True)
class Added:
    """What one act of adding did. `unchanged`: the finding's disposition is that already, by the same and so noted."""

    added: tuple[Disposition, ...]
    unchanged: tuple[Disposition, ...]
    refused: tuple[Refused, ...]


def add_dispositions(
    store: Store, given: Iterable[Disposition], products: Sequence[str], origin: str, now: datetime | None = None
) -> Added:
    """Add what is said of findings; of what is refused nothing is kept, the rest is.

    `products` are the marts whose findings may be meant, `origin` says where this comes from (a file, a command).
    """
    moment = _naive(now or datetime.now(UTC))
    known = findings(store, products)
    stands = _standing(store)
    added, unchanged, refused = [], [], []
    for each in given:
        if reason := _wrong(each, known, products, moment):
            refused.append(Refused(each, reason))
        elif stands.get(each.finding_uid) == (each.disposition, each.by, each.note):
            unchanged.append(each)
        else:
            stands[each.finding_uid] = (each.disposition, each.by, each.note)
            added.append(each)
    if added:
        _write(store, [_row(each, known[each.finding_uid], moment, origin) for each in added], moment)
    return Added(tuple(added), tuple(unchanged), tuple(refused))


def findings(store: Store, products: Sequence[str]) -> dict[str, str]:
    """Return the product of every finding that the lake has, by its uid."""
    found: dict[str, str] = {}
    with duck.connect(store) as con:
        for product in products:
            if files := files_of(store, f"{paths.GOLD}/{paths.checked(product)}"):
                uids = con.execute(f"select distinct finding_info.uid from {files}").fetchall()
                found |= {uid: product for (uid,) in uids}
    return found


def dispositions_sql(store: Store) -> str:
    """Return a SELECT over all dispositions: the columns, from when to when each counted, and whether it counts now."""
    files = files_of(store, FOLDER, "date=*/*.parquet")
    rows = f"select {', '.join(_quoted())} from {files}" if files else empty_select(COLUMNS)
    return (
        "select *, next_at is null as is_current from ("
        " select *, \"at\" as valid_from, coalesce(next_at, timestamp '9999-12-31') as valid_to from ("
        ' select *, lead("at") over (partition by finding_uid order by "at", added_at, origin, disposition) as next_at'
        f" from ({rows})))"
    )


def files_of(store: Store, folder: str, pattern: str = "date=*/hour=*/*.parquet") -> str:
    """Return a call of read_parquet over the files of a folder; empty where it has none."""
    if next(iter(store.list(folder)), None) is None:
        return ""
    files = literal(store.url(f"{folder}/{pattern}"))
    return f"read_parquet({files}, union_by_name = true, hive_partitioning = false)"


def _wrong(each: Disposition, known: dict[str, str], products: Sequence[str], now: datetime) -> str:
    if each.disposition not in VALUES:
        return f"{each.disposition!r} is no disposition (expected {', '.join(VALUES)})"
    if each.finding_uid not in known:
        return f"no product has a finding {each.finding_uid!r} (looked in {', '.join(products) or 'no product'})"
    if each.at is not None and _naive(each.at) > now:
        return f"it is said to be of {each.at:%Y-%m-%dT%H:%M:%S}, which has not come yet"
    return ""


def _standing(store: Store) -> dict[str, tuple[str, str, str]]:
    with duck.connect(store) as con:
        sql = f'select finding_uid, disposition, "by", note from ({dispositions_sql(store)}) where is_current'
        return {uid: (disposition, by, note) for uid, disposition, by, note in con.execute(sql).fetchall()}


def _row(each: Disposition, product: str, moment: datetime, origin: str) -> dict[str, object]:
    said = {"product": product, "finding_uid": each.finding_uid, "disposition": each.disposition}
    at = _naive(each.at) if each.at else moment
    return said | {"by": each.by, "note": each.note, "at": at, "added_at": moment, "origin": origin}


def _write(store: Store, rows: list[dict[str, object]], moment: datetime) -> None:
    """Publish the rows as one file of their own: nobody else's file changes."""
    name = f"{moment:%Y%m%dT%H%M%S%f}-{uuid.uuid4().hex[:8]}.parquet"
    with Workplace(store, "dispositions") as place:
        path = place.path / name
        pq.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA), path, compression="zstd")
        key = f"{FOLDER}/date={moment:%Y-%m-%d}/{name}"
        publish(store, lambda: Change(moves=((place.key_of(path), key),)))


def _quoted() -> list[str]:
    return [f'"{name}"' for name, _ in COLUMNS]


def _naive(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo else at
