"""The search for records that make a model fail: an hour is tried in halves until they are alone, within bounds.

Most of a try is planning, so what is tried is planned once and read from a table that holds a part of the hour.
"""

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import islice, pairwise
from math import log2
from random import Random
from time import monotonic

import duckdb

from lake.base.errors import HeadwaterError
from lake.base.sql import quoted
from lake.build.unprocessable import HELD_BACK, NAMES, Part, Record, Unprocessable, is_of_data, what_was_said
from lake.storage import paths

MOST_TRIES = 5000  # of one search
MOST_SECONDS = 240  # of one search: of Okta events a try takes 0.2 s; a mapping that needs more is at fault itself
_MOST_HELD, _MOST_TOGETHER = 0.1, 0.5  # of the records of an hour; else the model fails for the hour
_PROBES = 16  # single records that are tried first
_MANY_PARTS = 64  # that fail: then it is asked whether all can be searched
_ROWS, _PART = "main.searched_rows", "main.searched_part"
_MAKES = re.compile(r"\s*create or replace temp table (\w+) as\s")
_NONE, _ALL = (0, 0, ""), "all"
_ALL_FAIL = 25  # records of which each fails on its own are no fault of records


class NotAlone(HeadwaterError):
    """The records that make a model fail cannot be told from the others, or are too many."""


@dataclass
class Isolated:
    """Records that fail, each with its error, and parts of which some fail that were not told apart."""

    alone: list[tuple[Record, str]] = field(default_factory=list)
    together: list[tuple[Sequence[Record], str]] = field(default_factory=list)  # and fail in no smaller part
    held_back: list[tuple[Sequence[Record], str]] = field(default_factory=list)  # the tries were spent

    def __bool__(self) -> bool:
        return bool(self.alone or self.together or self.held_back)

    def kept_out(self, hour: str, model: str) -> list[Unprocessable]:
        """Return all of them with what is said of each."""
        found = [(record, why) for record, why in self.alone]
        for words, parts in (("fails with", self.together), (HELD_BACK, self.held_back)):
            for records, why in parts:
                found += [(each, f"{words} {len(records) - 1:,} others: {why}") for each in records]
        return [Unprocessable(hour, record, f"{model}: {why}") for record, why in found]


def isolate(
    records: Sequence[Record],
    attempt: Callable[[Part], str],
    most: int = MOST_TRIES,
    suspected: Collection[Record] = (),
    clock: Callable[[], float] = monotonic,
) -> Isolated:
    """Return the records that fail on their own, each with its error. All of them together are known to fail.

    `records` are in their order; `attempt` tries those of a part and returns the error, or "" if there is none. Failing
    parts are halved, the largest first, so that what is not told apart when tries or time are spent is small: it is
    held back. One record of a million is found by about 23 tries, 400 of 100,000 by 4,000. `suspected` are those
    that an earlier search held back: only they are searched, unless none of them fails.

    Raises:
        NotAlone: so many records fail that the model is at fault, or too many would be held back.
    """
    if not records:
        return Isolated()
    if suspected:
        search = _Isolation(records, attempt, most, clock)
        if found := search.search(_runs_of([each in suspected for each in records])):
            return found
        most -= search.tries
    return _Isolation(records, attempt, most, clock).search([(0, len(records))])


def _runs_of(chosen: Sequence[bool]) -> list[tuple[int, int]]:
    """Return the runs of chosen places, each from its first up to the place behind its last."""
    edges = [at for at, (before, now) in enumerate(pairwise((False, *chosen, False))) if before != now]
    return list(zip(edges[::2], edges[1::2], strict=True))


@dataclass
class _Isolation:
    records: Sequence[Record]
    attempt: Callable[[Part], str]
    most: int
    clock: Callable[[], float]
    tries: int = 0
    found: Isolated = field(default_factory=Isolated)
    began: float = 0.0
    said: str = ""  # the last error
    # Parts that fail, or may: (-size, from, up to, error if it was tried, the part it is half of that is known to fail)
    parts: list[tuple[int, int, int, str, tuple[int, int, str]]] = field(default_factory=list)

    def search(self, places: Sequence[tuple[int, int]]) -> Isolated:
        """Halve what fails until records are alone, or the tries are spent."""
        self.began, level, number = self.clock(), 0, len(self.records)
        whole = list(places) == [(0, number)]
        if whole and number > 4 * _PROBES and self.most > 4 * _PROBES:
            self._refuse_faults()
        for at, end in places:
            self._add(at, end, _ALL if whole and number > 1 else "")
        while self.parts:
            if self._left() <= 0:
                self._hold_back()
                break
            if len(self.parts) >= _MANY_PARTS and (size := -self.parts[0][0].bit_length()) != level:
                level = size
                self._refuse_hopeless()
            self._halve(*heappop(self.parts)[1:])
        if number >= _ALL_FAIL and len(self.found.alone) == number:
            raise NotAlone(f"all {number:,} records fail")
        if (together := sum(len(each) for each, _ in self.found.together)) > number * _MOST_TOGETHER:
            raise NotAlone(f"{together:,} of {number:,} records fail together, and none of them alone")
        return self.found

    def _halve(self, at: int, end: int, why: str, within: tuple[int, int, str]) -> None:
        if not why:
            if not (why := self._try(at, end)):
                if within[2]:  # the other parts of that work as well
                    self.found.together.append((self.records[within[0] : within[1]], self._error(within[2])))
                return
            within = _NONE
        if end - at == 1:
            self.found.alone.append((self.records[at], why))
            return
        middle = (at + end) // 2
        if of_half := self._try(at, middle):
            self._add(at, middle, of_half)
            self._add(middle, end, "")
        else:  # then the other half fails: only a single record is tried, for its own error
            self._add(middle, end, "" if end - middle == 1 else why, within if within[2] else (at, end, why))

    def _add(self, at: int, end: int, why: str, within: tuple[int, int, str] = _NONE) -> None:
        heappush(self.parts, (at - end, at, end, why, within))

    def _left(self) -> int:
        """Return how many more tries there are, by their number and by the time that they take."""
        left = self.most - self.tries
        if self.tries < _PROBES:
            return left
        spent = max(self.clock() - self.began, 1e-9)
        return min(left, int((MOST_SECONDS - spent) * self.tries / spent))

    def _refuse_faults(self) -> None:
        """Give up when most of some single records fail, or more than the tries can find."""
        places = sorted(Random(0).sample(range(len(self.records)), _PROBES))
        failed = sum(bool(self._try(at, at + 1)) for at in places)
        among = failed / _PROBES
        if failed * 2 > _PROBES or (failed > 2 and self._needed(len(self.records), among) > 2 * self._left()):
            raise NotAlone(f"{failed} of {_PROBES} records that were tried one by one fail")

    def _refuse_hopeless(self) -> None:
        """Give up when there are more failing records than the tries can find, by how many parts of a size fail."""
        size, rest = -self.parts[0][0], sum(end - at for _, at, end, *_ in self.parts)
        share = min(rest / len(self.records), 1 - 0.5 / len(self.parts))
        if self._needed(size, 1 - (1 - share) ** (1 / size)) > 2 * self._left():
            raise NotAlone(
                f"{rest:,} of {len(self.records):,} records stand in {len(self.parts):,} parts of which each fails"
            )

    def _needed(self, size: int, among: float) -> float:
        """Return about how many tries it takes from parts of a size to parts that are small enough to be held back.

        `among`: the share of single records that fail, were they all over the place.
        """
        failing = among * len(self.records)
        return 1.5 * failing * max(log2(size * failing / (_MOST_HELD * len(self.records))), 0)

    def _hold_back(self) -> None:
        held = sum(end - at for _, at, end, *_ in self.parts)
        if held > max(len(self.records) * _MOST_HELD, 1):
            raise NotAlone(
                f"{self.tries:,} tries have found {len(self.found.alone):,} records that fail, and {held:,} of"
                f" {len(self.records):,} are not told apart"
            )
        for _, at, end, why, within in sorted(self.parts, key=lambda part: part[1]):
            self.found.held_back.append((self.records[at:end], self._error(why or within[2])))

    def _error(self, why: str) -> str:
        """Return an error; of what failed as a whole, or was not tried, the last one that was said."""
        return why if why not in ("", _ALL) else self.said

    def _try(self, at: int, end: int) -> str:
        self.tries += 1
        why = self.attempt((self.records[at], self.records[end - 1]))
        self.said = why or self.said
        return why


@dataclass
class Tried:
    """Tries what a model does with its rows over parts of its records; `is_broken` when DuckDB itself broke over it.

    The records stand in a table; those of a part are copied to another one, which the model's view reads. The first
    step is planned once, for planning takes most of a try (CPU: 0.55 s of Okta events, 0.2 s so). Others are not: a
    plan may rely on statistics of the tables that it reads, and those of all records are known of the first one's
    alone. Once a part has failed at one of the `steps`, those after it wait for another search. `clear` removes what
    the steps have staged.
    """

    con: duckdb.DuckDBPyConnection
    source: str
    steps: Callable[[], Iterable[str]]
    clear: Callable[[], None]
    tries: int = 0
    is_broken: bool = False
    most_steps: int | None = None
    places: dict[Record, int] = field(default_factory=dict)
    planned: tuple[str, ...] = ()  # what is run instead of the first step

    def __enter__(self) -> "Tried":
        """Take the rows of the source's view."""
        view, order = f"bronze.{quoted(paths.checked(self.source))}", ", ".join(NAMES)
        self.con.execute(
            f"create or replace table {_ROWS} as select row_number() over (order by {order}) as n, * from {view}"
        )
        self.con.execute(f"create or replace table {_PART} as select * exclude (n) from {_ROWS}")
        self.con.execute(f"create or replace view {view} as from {_PART}")
        found = self.con.execute(f"select {order} from {_ROWS} order by n").fetchall()
        self.places = {Record(*row): at for at, row in enumerate(found, start=1)}
        return self

    def __exit__(self, *_: object) -> None:
        """Give the memory back; the next run makes the view anew."""
        with suppress(duckdb.Error):
            self.con.execute(f"drop table {_ROWS}")

    def __call__(self, part: Part) -> str:
        """Return the error over a part; "" when there is none. What is not of data is raised."""
        self.tries += 1
        first, last = self.places[part[0]], self.places[part[1]]
        self.con.execute(f"delete from {_PART}")
        self.con.execute(f"insert into {_PART} select * exclude (n) from {_ROWS} where n between {first} and {last}")
        self.clear()
        done = 0
        try:
            for step in islice(self.steps(), self.most_steps):
                for statement in (step,) if done else self._planned(step):
                    self.con.execute(statement)
                done += 1
        except duckdb.Error as problem:
            self.is_broken = isinstance(problem, (duckdb.InternalException, duckdb.FatalException))
            if self.is_broken or not is_of_data(f"{problem}\n"):
                raise
            self.most_steps = self.most_steps or done + 1
            return what_was_said(str(problem))
        return ""

    def _planned(self, step: str) -> tuple[str, ...]:
        """Return what is run instead of the first step, which makes a table: planned, if that can be."""
        made = _MAKES.match(step)
        if not self.planned and made:
            self.planned = (step,)
            with suppress(duckdb.Error):  # what is wrong with the step itself is told when it is run
                self.con.execute(f"{step}\nwith no data")
                self.con.execute(f"prepare searched_step as insert into {made[1]} {step[made.end() :]}")
                self.planned = (f"delete from {made[1]}", "execute searched_step")
        return self.planned or (step,)
