"""The marts of the dbt project: what each of them reads, how far back, and by what it is compared.

A mart is a model of `models/gold/` that is kept in the lake. It reads what its SQL names by `ref`: tables of silver,
other marts, seeds, and views over those. Its properties may say, under `config.meta`:

 - `reads: {<name>: {before: 24h, after: 1h}}`: hours or days around an hour that count for its rows (else none). An
   hour that looks ahead is built at once, and again when the hours that it looks ahead to have come
 - `grain: day`: it has one slot a day, the hour 00, which reads the whole day; `_event_at` is the day's begin. A mart
   by the hour that looks back to one sees the days before its own
 - `content: [columns]`: readers of the mart depend on the distinct values of these columns alone
 - `ocsf_class: detection_finding`: its rows are OCSF events of that class
 - `retention_days`: see `lake.marts.retention`
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from lake.base.errors import HeadwaterError
from lake.storage import paths

_SPAN = re.compile(r"(\d+)\s*([hd])\Z")


class BadMart(HeadwaterError):
    """A mart that cannot be built as it is declared; the message names its file and says what to change."""


@dataclass(frozen=True)
class Node:
    """A model, seed or source of the dbt graph.

    `layer` is a model's folder below `models/`, or a source's schema. Nothing is stored of a view: who reads it reads
    what it reads. A source is made by no model. `reads` are names of nodes.
    """

    name: str
    kind: Literal["table", "view", "seed", "source"]
    layer: str = ""
    reads: tuple[str, ...] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Read:
    """What a mart reads by one name: the lake's tables behind it, and the hours around an hour that count for it.

    With `past_days` the tables have one slot a day, of which an hour sees those of the days before its own.
    """

    name: str
    models: tuple[str, ...]
    before: int = 0
    after: int = 0
    past_days: bool = False


@dataclass(frozen=True)
class Mart:
    """One table of gold."""

    name: str
    reads: tuple[Read, ...]
    content: tuple[str, ...] = ()
    ocsf_class: str = ""
    retention_days: float = 0
    daily: bool = False

    def slot_of(self, hour: str) -> str:
        """Return the hour (`YYYY-MM-DDTHH`) under which this mart files what happened in an hour."""
        return f"{hour[:10]}T00" if self.daily else hour

    @property
    def models(self) -> frozenset[str]:
        """Return every table that it reads."""
        return frozenset(model for read in self.reads for model in read.models)

    @property
    def own_models(self) -> frozenset[str]:
        """Return the tables of which it reads the hour itself, or the day."""
        return frozenset(model for read in self.reads if not read.past_days for model in read.models)


class Marts:
    """All marts of a dbt graph."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self._nodes = {node.name: node for node in nodes}

    @property
    def by_name(self) -> dict[str, Mart]:
        """Return the marts by name, without those of `problems`."""
        return self._read[0]

    @property
    def problems(self) -> dict[str, BadMart]:
        """Return, by name, what is wrong with the marts that cannot be built as they are declared."""
        return self._read[1]

    @cached_property
    def _read(self) -> tuple[dict[str, Mart], dict[str, BadMart]]:
        found: dict[str, Mart] = {}
        problems: dict[str, BadMart] = {}
        for name, node in sorted(self._nodes.items()):
            if node.kind == "table" and node.layer == paths.GOLD:
                try:
                    found[name] = self._mart(node)
                except BadMart as problem:
                    problems[name] = problem
        return found, problems

    @cached_property
    def levels(self) -> list[tuple[str, ...]]:
        """Return the marts in the order of building: each reads only marts of levels before its own.

        Raises:
            BadMart: marts that read each other.
        """
        left, levels = dict(self.by_name), []
        while left:
            ready = tuple(sorted(name for name, mart in left.items() if not mart.models & left.keys()))
            if not ready:
                raise BadMart(f"the marts {', '.join(sorted(left))} read each other in a circle")
            levels.append(ready)
            left = {name: mart for name, mart in left.items() if name not in ready}
        return levels

    def _mart(self, node: Node) -> Mart:
        if "__" in node.name:
            raise BadMart(f"{node.name}.sql: the name of a mart has no double underscore")
        if not paths.NAME.match(node.name):
            raise BadMart(f"{node.name}.sql: cannot be a name in the lake (expected {paths.NAME.pattern})")
        windows = node.meta.get("reads") or {}
        if not isinstance(windows, dict):
            raise BadMart(f"{node.name}.yml: reads: {windows!r}: expected tables, each with `before: 24h`")
        daily = _is_daily(node)
        rest = 23 if daily else 0  # a slot of a day reads the whole day
        reads = []
        for name in sorted({*node.reads, *windows}):
            if models := tuple(sorted(set(self._tables(name, node)))):
                before, after = (_hours(windows.get(name), side, node) for side in ("before", "after"))
                past_days = not daily and any(_is_daily(self._nodes[model]) for model in models)
                reads.append(Read(name, models, before, after + rest, past_days))
        if not reads:
            raise BadMart(f"{node.name}.sql: a mart reads at least one table of the lake by ref()")
        return Mart(
            node.name,
            tuple(reads),
            tuple(node.meta.get("content") or ()),
            str(node.meta.get("ocsf_class") or ""),
            _days(node),
            daily,
        )

    def _tables(self, name: str, reader: Node) -> Iterator[str]:
        """Yield the tables of the lake behind a name: itself, or those under a view."""
        node = self._nodes.get(name)
        if node is None:
            raise BadMart(f"{reader.name}.sql: there is no model or seed {name!r}")
        if node.kind == "seed":
            return
        if node.layer not in (paths.SILVER, paths.GOLD):
            raise BadMart(f"{reader.name}.sql: reads {name}, of {node.layer}; a mart reads silver and gold")
        if node.kind != "view":
            yield name
            return
        for inner in node.reads:
            yield from self._tables(inner, node)


def _is_daily(node: Node) -> bool:
    grain = node.meta.get("grain", "hour")
    if grain not in ("hour", "day"):
        raise BadMart(f"{node.name}.yml: grain: {grain!r} (expected hour or day)")
    return bool(grain == "day")


def _days(node: Node) -> float:
    given = node.meta.get("retention_days") or 0
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise BadMart(f"{node.name}.yml: retention_days: {given!r} is no number of days")
    return float(given)


def _hours(window: object, side: str, node: Node) -> int:
    given = window.get(side, "0h") if isinstance(window, dict) else (window or "0h") if side == "before" else "0h"
    found = _SPAN.match(str(given))
    if not found:
        raise BadMart(f"{node.name}.yml: reads: {given!r} is no span (expected 24h or 90d)")
    return int(found[1]) * {"h": 1, "d": 24}[found[2]]
