"""Verdicts: what analysts say of findings after looking at them. They are added and never changed.

In files, tables and commands a verdict is a `disposition`; what became of an event is another thing
(`ledger/dispositions`).

A file is CSV with a header, or NDJSON: `finding_uid` (or `uid`), `disposition`, and, if they like, `by`, `note`, `at`
(ISO 8601; UTC without offset). The lake has one file for each act of adding,
`signals/dispositions/date=<day of adding>/<id>.parquet`, published through the journal: killed anywhere, the lake has
all of an act's rows or none. Its receipt is `ledger/verdicts/date=<day>/<id>.json` (`VerdictReceipt`). The last
verdict counts, by the time that was given (`at`), then by the time of adding.
"""

import csv
import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from lake import ledger
from lake.base.errors import WRONG_CALL, HeadwaterError
from lake.base.sql import empty_select, literal, quoted
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
_SPELLINGS = {"uid": "finding_uid", "finding": "finding_uid", "analyst": "by", "comment": "note", "decided_at": "at"}
_FIELDS = ("finding_uid", "disposition", "by", "note", "at")
_SCHEMA = pa.schema([(name, pa.timestamp("us") if type_ == "TIMESTAMP" else pa.string()) for name, type_ in COLUMNS])


@dataclass(frozen=True)
class Verdict:
    """What an analyst says of one finding, one of VALUES.

    `at`: when it was decided, UTC; None: when it is added. `where`: for messages.
    """

    finding_uid: str
    verdict: str
    by: str = ""
    note: str = ""
    at: datetime | None = None
    where: str = ""


@dataclass(frozen=True)
class Refused:
    """A verdict that was not taken, and why."""

    verdict: Verdict
    reason: str


@dataclass(frozen=True)
class Added:
    """What one act of adding did. `unchanged`: the finding has that verdict already, by the same and so noted."""

    added: tuple[Verdict, ...]
    unchanged: tuple[Verdict, ...]
    refused: tuple[Refused, ...]


class VerdictReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """What one act of adding wrote: the file, its rows, bytes, and digest (as in `lake.ledger.FileMark`)."""

    file: str
    rows: int
    bytes: int
    digest: str


def add_verdicts(
    store: Store, given: Iterable[Verdict], products: Sequence[str], origin: str, now: datetime | None = None
) -> Added:
    """Add verdicts; of what is refused nothing is kept, the rest is.

    `products` are the marts whose findings may be meant, `origin` says where this comes from (a file, a command).
    """
    moment = _naive(now or datetime.now(UTC))
    known = findings(store, products)
    current = _current(store)
    added, unchanged, refused = [], [], []
    for each in given:
        if reason := _wrong(each, known, products, moment):
            refused.append(Refused(each, reason))
        elif current.get(each.finding_uid) == (each.verdict, each.by, each.note):
            unchanged.append(each)
        else:
            current[each.finding_uid] = (each.verdict, each.by, each.note)
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


def verdicts_sql(store: Store) -> str:
    """Return a SELECT over all verdicts: the columns, from when to when each counted, and whether it counts now."""
    files = files_of(store, FOLDER, "date=*/*.parquet")
    rows = f"select {', '.join(quoted(name) for name, _ in COLUMNS)} from {files}" if files else empty_select(COLUMNS)
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


def _wrong(each: Verdict, known: dict[str, str], products: Sequence[str], now: datetime) -> str:
    if each.verdict not in VALUES:
        return f"{each.verdict!r} is no disposition (expected {', '.join(VALUES)})"
    if each.finding_uid not in known:
        return f"no product has a finding {each.finding_uid!r} (looked in {', '.join(products) or 'no product'})"
    if each.at is not None and _naive(each.at) > now:
        return f"it is said to be of {each.at:%Y-%m-%dT%H:%M:%S}, which has not come yet"
    return ""


def _current(store: Store) -> dict[str, tuple[str, str, str]]:
    with duck.connect(store) as con:
        sql = f'select finding_uid, disposition, "by", note from ({verdicts_sql(store)}) where is_current'
        return {uid: (disposition, by, note) for uid, disposition, by, note in con.execute(sql).fetchall()}


def _row(each: Verdict, product: str, moment: datetime, origin: str) -> dict[str, object]:
    said = {"product": product, "finding_uid": each.finding_uid, "disposition": each.verdict}
    at = _naive(each.at) if each.at else moment
    return said | {"by": each.by, "note": each.note, "at": at, "added_at": moment, "origin": origin}


def _write(store: Store, rows: list[dict[str, object]], moment: datetime) -> None:
    """Publish the rows as one file of their own: nobody else's file changes."""
    name, day = f"{moment:%Y%m%dT%H%M%S%f}-{uuid.uuid4().hex[:8]}", f"{moment:%Y-%m-%d}"
    with Workplace(store, "dispositions") as place:
        path = place.path / f"{name}.parquet"
        pq.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA), path, compression="zstd")
        key = f"{FOLDER}/date={day}/{name}.parquet"
        made = VerdictReceipt(file=key, rows=len(rows), bytes=path.stat().st_size, digest=ledger.digest_of(path))
        receipt = (paths.verdict_receipt(day, name), ledger.encode(made))
        publish(store, lambda: Change(moves=((place.key_of(path), key),), receipts=(receipt,)))


def _naive(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo else at


class BadVerdicts(HeadwaterError, ValueError):
    """A file of verdicts that cannot be used; the message names the file and the line."""

    exit_code = WRONG_CALL


def read_verdicts(path: Path) -> list[Verdict]:
    """Return the verdicts of a file; its suffix says its format (.csv, .ndjson, .jsonl, .json for one a line).

    Raises:
        BadVerdicts: the file cannot be read, a column is missing or unknown, or a time is none. Nothing is taken.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as problem:
        raise BadVerdicts(f"{path}: cannot be read: {problem}") from None
    if path.suffix.lower() == ".csv":
        return [_verdict(row, f"{path.name}, line {line}") for line, row in _csv(text, path)]
    if path.suffix.lower() in (".ndjson", ".jsonl", ".json"):
        return [_verdict(row, f"{path.name}, line {line}") for line, row in _ndjson(text, path)]
    raise BadVerdicts(f"{path}: expected a file .csv or .ndjson")


def parse_moment(text: str, where: str) -> datetime:
    """Return an instant, naive UTC. Raises BadVerdicts."""
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise BadVerdicts(f"{where}: {text!r} is no time (expected 2026-03-02T08:00:00Z)") from None
    return _naive(at)


def _csv(text: str, path: Path) -> Iterator[tuple[int, Mapping[str, object]]]:
    reader = csv.DictReader(text.splitlines())
    if not reader.fieldnames:
        raise BadVerdicts(f"{path}: is empty; expected a header with finding_uid and disposition")
    for row in reader:
        if None in row:
            raise BadVerdicts(f"{path.name}, line {reader.line_num}: has more values than the header names")
        yield reader.line_num, row


def _ndjson(text: str, path: Path) -> Iterator[tuple[int, Mapping[str, object]]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            raise BadVerdicts(f"{path.name}, line {number}: is no JSON") from None
        if not isinstance(row, dict):
            raise BadVerdicts(f"{path.name}, line {number}: expected an object")
        yield number, row


def _verdict(row: Mapping[str, object], where: str) -> Verdict:
    named = {name.strip().lower(): value for name, value in row.items()}
    held = {_SPELLINGS.get(name, name): str(value).strip() for name, value in named.items() if value is not None}
    if unknown := sorted(set(held) - set(_FIELDS)):
        raise BadVerdicts(f"{where}: unknown column {unknown[0]!r} (known: {', '.join(_FIELDS)})")
    for name in ("finding_uid", "disposition"):
        if not held.get(name):
            raise BadVerdicts(f"{where}: {name} is missing")
    said = held["disposition"].lower().replace(" ", "_").replace("-", "_")
    at = parse_moment(held["at"], where) if held.get("at") else None
    if said not in VALUES:
        raise BadVerdicts(f"{where}: {held['disposition']!r} is no disposition (expected {', '.join(VALUES)})")
    return Verdict(held["finding_uid"], said, held.get("by", ""), held.get("note", ""), at, where)
