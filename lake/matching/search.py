"""One search: indicators held against some hours, a part of the hours at a time, each part published when it is done.

What belongs here: the order of the steps for some hours, and what is done about files that cannot be read. What does
not: which hours (`planning`), the SQL of the steps (`probe`, `events`), publishing (`publishing`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from lake.ledger.receipts import BuildReceipt
from lake.matching import events, index_repair, probe
from lake.matching.index_files import mark_of
from lake.matching.index_repair import Unreadable
from lake.matching.planning import Hour
from lake.ocsf.attributes import EventClass
from lake.storage.publish import Workplace
from lake.storage.store import ObjectInfo, Store

FILES_AT_ONCE = 480
_GONE = "is not there as its receipt says: build the hour again"


@dataclass
class Part:
    """Some hours of a search, and what was found out about their files.

    `failed` are files that could not be searched, with why; `mended` those whose index was missing or damaged.
    """

    hours: Sequence[Hour]
    held: Mapping[str, ObjectInfo | None]
    failed: dict[str, str] = field(default_factory=dict)
    mended: dict[str, str] = field(default_factory=dict)
    made: dict[str, int] = field(default_factory=dict)  # rows of indexes that were made, by file
    observables: int = 0

    @property
    def files(self) -> dict[str, BuildReceipt]:
        """Return the files that can be searched."""
        return {key: each for hour in self.hours for key, each in hour.files.items() if key not in self.failed}


def parts(store: Store, hours: Sequence[Hour]) -> Iterator[Part]:
    """Yield hours in parts of so many files that one question can be asked of all."""
    part: list[Hour] = []
    for hour in hours:
        if part and sum(len(each.files) for each in (*part, hour)) > FILES_AT_ONCE:
            yield _part(store, part)
            part = []
        part.append(hour)
    if part:
        yield _part(store, part)


def _part(store: Store, hours: Sequence[Hour]) -> Part:
    files = {key: each for hour in hours for key, each in hour.files.items()}
    held = store.infos(files)
    part = Part(hours, held)
    for key, receipt in files.items():
        info = held[key]
        if info is None or info.size != receipt.bytes:
            part.failed[key] = f"{key} {_GONE}"
    return part


@dataclass(frozen=True)
class Search:
    """What a search works with. `classes` are the project's, by name; with `keep`, mended indexes are published."""

    con: duckdb.DuckDBPyConnection
    store: Store
    place: Workplace
    classes: Mapping[str, EventClass]
    keep: bool = True

    def run(self, part: Part, prefixes: list[int]) -> None:
        """Put the matches of some hours into `found`; `prefixes` are those of the networks sought."""
        probe.begin(self.con)
        events.begin(self.con)
        for key, receipt in part.files.items():
            if receipt.table not in self.classes:
                part.failed[key] = f"{key} is of {receipt.table}, a class that the project no longer declares"
        indexes = self._indexes(part)
        try:
            self._probe(part, indexes, prefixes)
        except Unreadable:
            indexes = self._mended(part, indexes)
            self._probe(part, indexes, prefixes)
        files = part.files
        marks = {key: files[key].index for key in indexes if key in files}
        part.observables = sum(part.made.get(key, mark.rows if mark else 0) for key, mark in marks.items())
        self._add_events(part)

    def _probe(self, part: Part, indexes: Mapping[str, str], prefixes: list[int]) -> None:
        probe.probe(self.con, {url: key for key, url in indexes.items() if url}, part.files, prefixes)

    def _indexes(self, part: Part) -> dict[str, str]:
        """Return the addresses of all indexes, by file; those that are missing are made."""
        found = index_repair.usable(self.store, part.files)
        missing = [key for key in part.files if key not in found]
        return {**found, **self._make(part, missing, "has no index that can be used")}

    def _mended(self, part: Part, indexes: Mapping[str, str]) -> dict[str, str]:
        """Return the addresses with those of indexes that cannot be read made anew."""
        files = part.files
        marks = {key: files[key].index for key, url in indexes.items() if url and key not in part.mended}
        broken = [
            key
            for key, mark in marks.items()
            if not index_repair.readable(self.con, indexes[key], mark.rows if mark else -1)
        ]
        made = self._make(part, broken, "has an index that cannot be read")
        return {key: url for key, url in {**indexes, **made}.items() if key not in part.failed}

    def _make(self, part: Part, keys: Sequence[str], why: str) -> dict[str, str]:
        files, made = part.files, dict[str, Path]()
        for key in keys:
            try:
                made[key] = index_repair.made(self.con, self.store, self.place, self.classes[files[key].table], key)
                part.made[key] = mark_of(made[key]).rows
                part.mended[key] = f"{key} {why}: it was searched itself, and its index made anew"
            except Unreadable as problem:
                part.failed[key] = _said(key, problem)
        urls = {key: str(path) for key, path in made.items()}
        if self.keep and made:
            kept = index_repair.keep(self.store, self.place, files, made)
            urls |= {key: self.store.url(kept[key]) for key in kept}
        return urls

    def _add_events(self, part: Part) -> None:
        by_class: dict[str, dict[str, BuildReceipt]] = {}
        files = part.files
        for key in events.hit_files(self.con):
            by_class.setdefault(files[key].table, {})[key] = files[key]
        for table, hit in by_class.items():
            try:
                events.add_matches(self.con, self.store, self.classes[table], hit)
            except Unreadable:
                self._add_one_by_one(part, table, hit)

    def _add_one_by_one(self, part: Part, table: str, hit: Mapping[str, BuildReceipt]) -> None:
        for key, receipt in hit.items():
            try:
                events.add_matches(self.con, self.store, self.classes[table], {key: receipt})
            except Unreadable as problem:
                part.failed[key] = _said(key, problem)


def _said(key: str, problem: Exception) -> str:
    return f"{key} cannot be read: {' '.join(str(problem).split())[:300]}"
