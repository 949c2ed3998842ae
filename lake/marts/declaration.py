"""The marts of the dbt project: what each of them reads, how far back, and by what it is compared.

What belongs here: reading `models/gold/` as text, as `lake.build.mapping` does. What does not: dbt itself, or which
hours of a mart are stale (`lake.marts.staleness`).

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
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from lake.base.errors import HeadwaterError
from lake.storage import paths

_REF = re.compile(r"\bref\(\s*[\"'](\w+)[\"']\s*\)")
_BESIDE = re.compile(r"\bsource\(\s*[\"']gold[\"']\s*,\s*[\"'](\w+)[\"']\s*\)")  # of gold, but made by no model
_COMMENT = re.compile(r"\{#.*?#\}|--[^\n]*", re.DOTALL)
_VIEW = re.compile(r"materialized\s*=\s*[\"']view[\"']")
_SPAN = re.compile(r"(\d+)\s*([hd])\Z")
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast


class BadMart(HeadwaterError, ValueError):
    """A mart that cannot be built as it is declared; the message names its file and says what to change."""


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
    seeds: tuple[str, ...] = ()
    views: tuple[str, ...] = ()  # views that it reads through
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
    """All marts of a project, read once."""

    def __init__(self, project: Path) -> None:
        self._project = project
        self._sql = {path.stem: path for path in sorted(project.glob("models/**/*.sql"))}

    @cached_property
    def by_name(self) -> dict[str, Mart]:
        """Return the marts by name.

        Raises:
            BadMart: a name or a declaration that cannot be used.
        """
        return {path.stem: self._mart(path) for path in self._sql.values() if self._is_mart(path)}

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

    def readers(self, model: str) -> list[Mart]:
        """Return the marts that read a table."""
        return [mart for mart in self.by_name.values() if model in mart.models]

    def _is_mart(self, path: Path) -> bool:
        return paths.GOLD in path.relative_to(self._project).parts and not _VIEW.search(path.read_text())

    def _mart(self, path: Path) -> Mart:
        name = path.stem
        if "__" in name:
            raise BadMart(f"{path.name}: the name of a mart has no double underscore")
        paths.checked(name)
        meta = self._meta(path)
        windows = meta.get("reads") or {}
        named = sorted({*_refs(path), *_beside(path), *windows})
        found = {each: tuple(sorted(set(self._tables(each, path)))) for each in named}
        spans = {each: [_hours(windows.get(each), side, path) for side in ("before", "after")] for each in found}
        daily = _grain(meta.get("grain", "hour"), path) == "day"
        rest = 23 if daily else 0  # a slot of a day reads the whole day
        reads = tuple(
            Read(each, models, spans[each][0], spans[each][1] + rest, not daily and any(map(self._daily, models)))
            for each, models in found.items()
            if models
        )
        seeds, views = (tuple(sorted(set(each(path)))) for each in (self._seeds, self._views))
        if not reads:
            raise BadMart(f"{path.name}: a mart reads at least one table of the lake by ref()")
        return Mart(
            name,
            reads,
            seeds,
            views,
            tuple(meta.get("content") or ()),
            str(meta.get("ocsf_class") or ""),
            float(meta.get("retention_days") or 0),
            daily,
        )

    def _daily(self, model: str) -> bool:
        path = self._sql.get(model)
        return path is not None and _grain(self._meta(path).get("grain", "hour"), path) == "day"

    def _tables(self, name: str, reader: Path) -> Iterator[str]:
        """Yield the tables of the lake behind a name: itself, or those under a view."""
        path = self._sql.get(name)
        if path is None and name in _beside(reader):
            yield name
            return
        if path is None:
            if not (self._project / "seeds" / f"{name}.csv").exists():
                raise BadMart(f"{reader.name}: there is no model or seed {name!r}")
            return
        room = path.relative_to(self._project).parts[1]
        if room not in (paths.SILVER, paths.GOLD):
            raise BadMart(f"{reader.name}: reads {name}, of {room}; a mart reads silver and gold")
        if not _VIEW.search(path.read_text()):
            yield name
            return
        for inner in _refs(path):
            yield from self._tables(inner, path)

    def _seeds(self, reader: Path) -> Iterator[str]:
        for each in (reader, *(self._sql[name] for name in self._views(reader))):
            yield from (name for name in _refs(each) if name not in self._sql)

    def _views(self, reader: Path) -> Iterator[str]:
        for name in _refs(reader):
            if name in self._sql and _VIEW.search(self._sql[name].read_text()):
                yield name
                yield from self._views(self._sql[name])

    def _meta(self, path: Path) -> Mapping[str, Any]:
        properties = path.with_suffix(".yml")
        declared = yaml.load(properties.read_bytes(), _Loader) if properties.exists() else {}
        for model in (declared or {}).get("models", []):
            if model.get("name") == path.stem:
                meta = (model.get("config") or {}).get("meta") or {}
                return meta if isinstance(meta, dict) else {}
        return {}


def _refs(path: Path) -> list[str]:
    return sorted(set(_REF.findall(_COMMENT.sub(" ", path.read_text()))))


def _grain(grain: object, path: Path) -> object:
    if grain not in ("hour", "day"):
        raise BadMart(f"{path.with_suffix('.yml').name}: grain: {grain!r} (expected hour or day)")
    return grain


def _beside(path: Path) -> list[str]:
    return sorted(set(_BESIDE.findall(_COMMENT.sub(" ", path.read_text()))))


def _hours(window: object, side: str, path: Path) -> int:
    given = window.get(side, "0h") if isinstance(window, dict) else (window or "0h") if side == "before" else "0h"
    found = _SPAN.match(str(given))
    if not found:
        raise BadMart(f"{path.with_suffix('.yml').name}: reads: {given!r} is no span (expected 24h or 90d)")
    return int(found[1]) * {"h": 1, "d": 24}[found[2]]
