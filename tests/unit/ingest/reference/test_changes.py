"""Merging snapshots: what holds when, by whatever way a feed comes to say it.

Entries do not know of each other, so one history of a hundred of them is a hundred histories; the seed is fixed.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from ingest.reference.changes import FIRST, LAST
from ingest.reference.feeds import Feed
from ingest.reference.tables import OBSERVABLE_TABLES, Entry
from tests.unit.ingest.reference.snapshots import Held, History, day

Said = tuple[str, str, float | None, float | None]  # entry, what is said of it, day from, day to
ENTRIES = tuple(f"e{number}" for number in range(120))
BOTH_WAYS = pytest.mark.parametrize(
    ("table", "mode"), [("assets", "full"), ("assets", "partial"), ("indicators", "full"), ("warning_lists", "full")]
)


def entry(table: str, said: Said) -> Entry:
    name, says, begin, end = said
    number = ENTRIES.index(name)
    kind, value = ("ip", f"192.0.{number >> 8}.{number & 255}") if table in OBSERVABLE_TABLES else ("", "")
    times = [None if each is None else day(each) for each in (begin, end)]
    return Entry(name, {"name": says}, kind, value, *times)


# --- feeds that give no times --------------------------------------------------------------------------------------


def model(mode: str, first: datetime, snapshots: Sequence[dict[str, str]]) -> list[Held]:
    """What a table of slowly changing rows is, said in Python."""
    rows: list[Held] = []
    for number, snapshot in enumerate(snapshots):
        at, kept = day(number), []
        for row in rows:
            says = snapshot.get(row.entry)
            ends = (mode == "full") if says is None else says != row.name
            kept.append(row._replace(valid_to=at, closed_at=at) if ends and row.closed_at is None else row)
        still = {row.entry for row in kept if row.closed_at is None}
        start = at if number else first
        rows = kept + [Held(each, says, start, LAST, at, None) for each, says in snapshot.items() if each not in still]
    return sorted(rows, key=lambda row: (row.entry, row.valid_from))


@BOTH_WAYS
def test_any_sequence_of_snapshots_gives_the_rows_of_the_model(tmp_path: Path, table: str, mode: str) -> None:
    chance, history = Random(5), History(Feed("f", table, mode=mode), tmp_path)
    snapshots = [{name: chance.choice("xyz") for name in ENTRIES if chance.random() < 0.6} for _ in range(6)]
    for number, snapshot in enumerate(snapshots):
        history.load([entry(table, (*each, None, None)) for each in snapshot.items()], day(number))
        first = day(0) if table == "indicators" else FIRST
        assert model(mode, first, snapshots[: number + 1]) == history.rows


# --- feeds that give times -----------------------------------------------------------------------------------------


def dated(chance: Random, name: str) -> Iterator[Said]:
    """Up to three statements of an entry, each with a start, an end, both or neither."""
    for _ in range(chance.choice((0, 1, 1, 1, 2, 3))):
        begin, end = (chance.choice((None, chance.randrange(60))) for _ in range(2))
        if begin is not None and end is not None:
            begin, end = sorted((begin, end))
        yield name, chance.choice("xyz"), begin, end


def timeline(table: str, claims: Iterable[Said], at: datetime) -> dict[str, str]:
    """What a snapshot says of a time: each claim from its start to the start of the next of its entry, or its end."""
    of: dict[str, dict[float, tuple[str, float | None]]] = {}
    for name, says, begin, end in claims:  # the last of one start counts
        if table in OBSERVABLE_TABLES:  # they have no history in one snapshot
            of.pop(name, None)
        of.setdefault(name, {})[-1 if begin is None else begin] = (says, end)
    said = {}
    for name, own in of.items():
        begun = [begin for begin in own if day(begin) <= at]
        says, end = own[max(begun)] if begun else ("", 0)
        if end is None or at < day(end):
            said[name] = says
    return said


def only(names: Iterable[str], said: dict[str, str]) -> dict[str, str]:
    return {name: said[name] for name in sorted(names) if name in said}


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("table", ["assets", "indicators"])
def test_whatever_times_a_provider_gives(tmp_path: Path, table: str, seed: int) -> None:
    """The time of a load is as its snapshot says, no rows overlap, and what is not dated leaves the past alone."""
    chance, history = Random(seed), History(Feed("f", table), tmp_path)
    for number in range(1, 4):
        at, past = day(number * 15 + 0.5), [day(each + 0.25) for each in range(-1, number * 15, 2)]
        before = [(history.at(time), history.at(time, known=True)) for time in past]
        claims = [said for name in ENTRIES for said in dated(chance, name)]
        history.load([entry(table, said) for said in claims], at)

        begun = set(ENTRIES) - {each[0] for each in claims if each[2] is not None and day(each[2]) > at}
        undated = set(ENTRIES) - {each[0] for each in claims if each[2] is not None or each[3] is not None}
        endless = set(ENTRIES) - {each[0] for each in claims if each[3] is not None}
        assert only(begun, timeline(table, claims, at)) == only(begun, history.at(at))
        assert_apart(history.rows)
        for time, (held, known) in zip(past, before, strict=True):
            assert number == 1 or only(undated, held) == only(undated, history.at(time)), time
            if table == "indicators":
                assert only(endless, known) == only(endless, history.at(time, known=True)), time

        again = history.load([entry(table, said) for said in claims], at + (day(0.1) - day(0)))
        assert (0, 0, 0, 0) == (again.opened, again.changed, again.closed, again.extended)


def assert_apart(rows: Sequence[Held]) -> None:
    """No two rows of an entry hold at one time."""
    assert all(row.valid_from <= row.valid_to for row in rows)
    for row, following in pairwise(row for row in rows if row.valid_from < row.valid_to):
        assert row.entry != following.entry or row.valid_to <= following.valid_from, (row, following)
