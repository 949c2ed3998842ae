"""One search: indicators held against some hours, a part of the hours at a time.

Whole observables are joined by their key, in one pass over the indexes of many files. Networks are joined by the key
under their mask, once for each length of prefix that occurs; only addresses of blocks in which a network lies are
looked at so (IPv4 /16, IPv6 /32), and these are found in one more pass.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from lake import ledger
from lake.base.sql import listed, texts
from lake.ledger.build_receipts import BuildReceipt
from lake.matching import index, matches
from lake.matching.index import Unreadable
from lake.matching.indicators import SOUGHT
from lake.matching.matches import HIT
from lake.matching.planning import FILES_AT_ONCE, Hour
from lake.ocsf.attributes import EventClass
from lake.storage.publish import Workplace
from lake.storage.store import ObjectInfo, Store

_ALL_ONES = (1 << 64) - 1
_WHOLE = 128
_MAPPED = "key_high = 0 and key_low >> 32 = 65535"
_BLOCK = "case when key_high = 0 then key_low >> 16 else (key_high >> 32) | 9223372036854775808 end"
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
        matches.begin(self.con)
        for key, receipt in part.files.items():
            if receipt.table not in self.classes:
                part.failed[key] = f"{key} is of {receipt.table}, a class that the project no longer declares"
        indexes = self._indexes(part)
        try:
            self._find_hits(part, indexes, prefixes)
        except Unreadable:
            indexes = self._mended(part, indexes)
            self._find_hits(part, indexes, prefixes)
        files = part.files
        marks = {key: files[key].index for key in indexes if key in files}
        part.observables = sum(part.made.get(key, mark.rows if mark else 0) for key, mark in marks.items())
        self._add_events(part)

    def _find_hits(self, part: Part, indexes: Mapping[str, str], prefixes: list[int]) -> None:
        found = {url: key for key, url in indexes.items() if url}
        if found:
            with index.reading():
                _probe(self.con, found, part.files, prefixes)

    def _indexes(self, part: Part) -> dict[str, str]:
        """Return the addresses of all indexes, by file; those that are missing are made."""
        found = index.usable_indexes(self.store, part.files)
        missing = [key for key in part.files if key not in found]
        return {**found, **self._make(part, missing, "has no index that can be used")}

    def _mended(self, part: Part, indexes: Mapping[str, str]) -> dict[str, str]:
        """Return the addresses with those of indexes that cannot be read made anew."""
        files = part.files
        marks = {key: files[key].index for key, url in indexes.items() if url and key not in part.mended}
        broken = [
            key
            for key, mark in marks.items()
            if not index.is_readable(self.con, indexes[key], mark.rows if mark else -1)
        ]
        made = self._make(part, broken, "has an index that cannot be read")
        return {key: url for key, url in {**indexes, **made}.items() if key not in part.failed}

    def _make(self, part: Part, keys: Sequence[str], why: str) -> dict[str, str]:
        files, made = part.files, dict[str, Path]()
        for key in keys:
            try:
                made[key] = index.make_index(self.con, self.store, self.place, self.classes[files[key].table], key)
                part.made[key] = index.mark_of(made[key]).rows
                part.mended[key] = f"{key} {why}: it was searched itself, and its index made anew"
            except Unreadable as problem:
                part.failed[key] = _unreadable(key, problem)
        urls = {key: str(path) for key, path in made.items()}
        if self.keep and made:
            kept = index.keep_indexes(self.store, self.place, files, made)
            urls |= {key: self.store.url(kept[key]) for key in kept}
        return urls

    def _add_events(self, part: Part) -> None:
        by_class: dict[str, dict[str, BuildReceipt]] = {}
        files = part.files
        for (key,) in self.con.execute(f"select distinct file from {HIT} order by 1").fetchall():
            by_class.setdefault(files[key].table, {})[key] = files[key]
        for table, hit in by_class.items():
            self._add_matches(part, table, hit)

    def _add_matches(self, part: Part, table: str, hit: Mapping[str, BuildReceipt]) -> None:
        """Add the matches in files of one class; where one of them cannot be read, file by file."""
        try:
            matches.add_matches(self.con, self.store, self.classes[table], hit)
        except Unreadable as problem:
            if len(hit) == 1:
                part.failed |= {key: _unreadable(key, problem) for key in hit}
                return
            for key, receipt in hit.items():
                self._add_matches(part, table, {key: receipt})


def _unreadable(key: str, problem: Exception) -> str:
    return f"{key} cannot be read: {' '.join(str(problem).split())[:300]}"


def networks(con: duckdb.DuckDBPyConnection) -> list[int]:
    """Return the lengths of prefix of the networks sought, and make the table of the blocks that they lie in."""
    con.execute(f"""
create or replace temp table block as
select distinct block from (
  select (key_low >> 16) + unnest(range(0, 1 << greatest(112 - prefix::integer, 0)))::ubigint as block
  from {SOUGHT} where prefix between 96 and {_WHOLE - 1} and {_MAPPED}
  union all
  select {_BLOCK} from {SOUGHT} where prefix between 32 and {_WHOLE - 1} and key_high > 0
)""")
    rows = con.execute(f"select distinct prefix from {SOUGHT} where prefix < {_WHOLE} order by 1").fetchall()
    return [int(row[0]) for row in rows]


def _probe(
    con: duckdb.DuckDBPyConnection, indexes: Mapping[str, str], files: Mapping[str, BuildReceipt], prefixes: list[int]
) -> None:
    """Add what indexes (address → key of the file of silver) hold of `sought` to the hits; `files` are their builds."""
    _name_indexes(con, indexes, files)
    seen = f"read_parquet({listed(indexes)}, filename = 'index_file', hive_partitioning = false)"
    parts = [
        f"select index_file, kind, key_high, key_low, n, search_from, valid_to from {seen}"
        f" join (select * from {SOUGHT} where prefix = {_WHOLE}) using (kind, key_high, key_low)"
    ]
    if prefixes:
        _find_near(con, seen)
    for prefix in prefixes:
        high, low = _mask(prefix)
        # An IPv4 address lies in networks of IPv4 alone, though its number lies in those of IPv6, too.
        own = "" if prefix >= _WHOLE - 32 else f" and not (seen.{_MAPPED.replace('key_low', 'seen.key_low')})"
        near = "seen" if _has_blocks(con, prefix) else f"(select * from {seen} where kind = 'ip')"
        parts.append(
            f"select index_file, 'ip', seen.key_high, seen.key_low, s.n, search_from, valid_to from {near} as seen"
            f" join (select * from {SOUGHT} where prefix = {prefix}) as s"
            f" on s.key_high = seen.key_high & {high}::ubigint and s.key_low = seen.key_low & {low}::ubigint{own}"
        )
    con.execute(
        f"insert into {HIT} select file, kind, key_high, key_low, n from ({' union all '.join(parts)}) as found"
        " join of_index using (index_file) where search_from < ends_at and valid_to > begins_at"
    )


def _name_indexes(
    con: duckdb.DuckDBPyConnection, indexes: Mapping[str, str], files: Mapping[str, BuildReceipt]
) -> None:
    hours = [str(ledger.hour(files[key].hour)) for key in indexes.values()]
    con.execute(
        "create or replace temp table of_index as select *, begins_at + interval 1 hour as ends_at from ("
        f"select unnest({texts(indexes)}) as index_file, unnest({texts(indexes.values())}) as file,"
        f" unnest({texts(hours)})::timestamp as begins_at)"
    )


def _find_near(con: duckdb.DuckDBPyConnection, seen: str) -> None:
    """Make the table `seen` of the addresses that lie in a block of a network."""
    con.execute(
        "create or replace temp table seen as select index_file, key_high, key_low from"
        f" (select index_file, key_high, key_low, {_BLOCK} as block from {seen} where kind = 'ip')"
        " semi join block using (block)"
    )


def _has_blocks(con: duckdb.DuckDBPyConnection, prefix: int) -> bool:
    """Whether all networks of a length of prefix have blocks; those that are too large, or odd, have none."""
    odd = f"not (({_MAPPED} and prefix >= 96) or (key_high > 0 and prefix >= 32))"
    row = con.execute(f"select count(*) from {SOUGHT} where prefix = {prefix} and {odd}").fetchone()
    return row is not None and not row[0]


def _mask(prefix: int) -> tuple[int, int]:
    """Return the halves of the mask of a prefix out of 128 bits."""
    mask = ((1 << prefix) - 1) << (_WHOLE - prefix)
    return mask >> 64, mask & _ALL_ONES
