"""Declarations: which table goes where, and which of its rows. Analysts write them beside the model, in dbt's meta.

meta:
  exports:
    - destinations: [siem, warehouse]      # names under `destinations` in the settings
      columns: [time_dt, user, src_endpoint]     # keep only these; or `without: [unmapped]`
      filter: "status_id = 2"                    # SQL over the table's columns: these rows are exported
      reduction:
        drop: ["is_alert is not true"]           # these rows stay in the lake
        sample: {share: 0.1, where: "severity_id <= 1"}
        aggregate: {by: [src_endpoint.ip, dst_endpoint.ip], sum: [traffic.bytes]}   # rows of a minute become one
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec

from lake.export.errors import BadDeclaration, plainly
from lake.ledger.published_tables import TableName
from lake.query.condition import BadCondition, condition
from lake.storage import paths

EVENT_ID = "_event_id"  # the column that tells the rows of an exported table apart, the same at every push
OF_A_MINUTE = ("time_dt", "time", "count", "start_time_dt", "end_time_dt", EVENT_ID)  # every aggregate has these
_ALL = "true"
_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*\Z")


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Sample(_Strict, frozen=True):
    """Keep a share (0 to 1) of the rows for which `where` is true: the same rows every time."""

    share: float
    where: str = _ALL


class Aggregate(_Strict, frozen=True):
    """Make one row of those of one minute with equal values of `by`, with their `count` and the sums of `sum`.

    Both name columns or fields of objects (`src_endpoint.ip`), which stay where they are in the row.
    """

    by: tuple[str, ...]
    sum: tuple[str, ...] = ()


class Reduction(_Strict, frozen=True):
    """Which rows are left out to save volume, in this order. The lake keeps them; receipts count them."""

    drop: tuple[str, ...] = ()
    sample: Sample | None = None
    aggregate: Aggregate | None = None


class Declared(_Strict, frozen=True):
    """One entry of `exports` in a model's meta."""

    destinations: tuple[str, ...]
    table: str = ""
    columns: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    filter: str = ""
    reduction: Reduction = Reduction()
    key: tuple[str, ...] = ()

    @property
    def expressions(self) -> dict[str, str]:
        """Return the SQL expressions by their place in the entry."""
        drop = {f"reduction.drop[{at}]": text for at, text in enumerate(self.reduction.drop)}
        sample = self.reduction.sample
        sampled = {"reduction.sample.where": sample.where} if sample and sample.where != _ALL else {}
        return ({"filter": self.filter} if self.filter else {}) | drop | sampled


@dataclass(frozen=True)
class Export:
    """One curated table at one destination: `table` is its name there, `source` narrows a class to one source."""

    destination: str
    table: str
    model: str
    held: TableName
    source: str
    declared: Declared

    @cached_property
    def fingerprint(self) -> str:
        """Return the hash of everything that chooses and shapes the rows; destination and table name do not count."""
        said = msgspec.structs.replace(self.declared, destinations=(), table="")
        return hashlib.sha256(msgspec.json.encode((self.held.table, self.source, said))).hexdigest()[:16]

    def __str__(self) -> str:
        return f"{self.destination}/{self.table}"


def exports_of(model: str, layer: str, said: object) -> Iterator[Export]:
    """Yield the exports that a model's `meta.exports` declares.

    In silver, a model `<class>__<source>` is one source's part of a class; any other is the whole table of its name.

    Raises:
        BadDeclaration: naming the model and what was expected.
    """
    for entry in _entries(model, said):
        table, _, source = model.partition("__") if layer == paths.SILVER else (model, "", "")
        held = TableName(layer, table)
        for destination in entry.destinations:
            yield Export(destination, entry.table or model, model, held, source, entry)


def _entries(model: str, said: object) -> Sequence[Declared]:
    given: object = [said] if isinstance(said, Mapping) else said
    try:
        entries = msgspec.convert(given, tuple[Declared, ...])
    except msgspec.ValidationError as problem:
        raise BadDeclaration(f"{model}: meta.exports{plainly(problem)}") from None
    for entry in entries:
        if wrong := _wrong(entry) or _wrong_expression(entry) or _wrong_reduction(entry):
            raise BadDeclaration(f"{model}: meta.exports: {wrong}")
    return entries


def _wrong(entry: Declared) -> str:
    if not entry.destinations:
        return "expected at least one name under `destinations`"
    for name in (*entry.destinations, *([entry.table] if entry.table else [])):
        if not paths.NAME.match(name):
            return f"{name!r} cannot be a name (expected {paths.NAME.pattern})"
    if entry.columns and entry.without:
        return "`columns` and `without` cannot both be given"
    return _wrong_path("key", entry.key)


def _wrong_expression(entry: Declared) -> str:
    """Return why an expression cannot be used: it may look at its row alone, so that it gives the same every time."""
    for where, text in entry.expressions.items():
        try:
            condition(text)
        except BadCondition as problem:
            return f"{where}: {problem}"
    return ""


def _wrong_reduction(entry: Declared) -> str:
    sample, aggregate = entry.reduction.sample, entry.reduction.aggregate
    if sample is not None and not 0 <= sample.share <= 1:
        return f"sample.share {sample.share} is not between 0 and 1"
    if aggregate is None:
        return ""
    if not aggregate.by:
        return "aggregate.by: expected at least one column"
    if entry.columns or entry.without:
        return "an aggregate has the columns of `by` and `sum`; `columns` and `without` say nothing more"
    return _wrong_path("aggregate", (*aggregate.by, *aggregate.sum)) or _wrong_aggregate(aggregate)


def _wrong_path(where: str, said: Sequence[str]) -> str:
    wrong = next((path for path in said if not _PATH.match(path)), None)
    return f"{where}: {wrong!r} is no column, or field of one (expected src_endpoint.ip)" if wrong is not None else ""


def _wrong_aggregate(said: Aggregate) -> str:
    """Return which column of an aggregate clashes with another; case does not tell names apart."""
    seen: list[str] = []
    for path in (each.lower() for each in (*said.by, *said.sum)):
        if path.split(".")[0] in OF_A_MINUTE:
            return f"aggregate: {path!r}: the rows of a minute have a column of this name already"
        if other := next(
            (each for each in seen if f"{path}.".startswith(f"{each}.") or each.startswith(f"{path}.")), ""
        ):
            return f"aggregate: {path!r} and {other!r} would be in one place"
        seen.append(path)
    return ""


def unique(exports: Sequence[Export]) -> Sequence[Export]:
    """Return exports in order. Raises BadDeclaration when two would fill one table of one destination."""
    seen: dict[tuple[str, str], Export] = {}
    for each in exports:
        other = seen.setdefault((each.destination, each.table), each)
        if other is not each:
            raise BadDeclaration(
                f"{other.model} and {each.model} both export to {each}: give one of them another `table`"
            )
    return sorted(seen.values(), key=str)


def plain(declared: Declared) -> dict[str, Any]:
    """Return an entry as plain values, without those that it leaves out."""
    return {name: value for name, value in msgspec.to_builtins(declared).items() if value}
