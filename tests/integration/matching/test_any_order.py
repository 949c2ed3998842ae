"""Lists may be loaded, hours built and matches made in any order: the matches are those of one search at the end."""

import random
from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from lake.storage.store import LocalStore
from tests.unit.matching.lakes import Event, Indicator, build, everything, logon, matched, rows

HOURS, LOADS = range(4), (0.5, 1.5, 2.5, 6.0)
ADDRESSES = [f"203.0.113.{number}" for number in range(1, 7)]
NETWORKS = ["203.0.113.0/30", "203.0.113.4/31", "203.0.0.0/16"]


def some_events(chance: random.Random, hour: int) -> list[Event]:
    table, source = chance.choice(
        [("authentication", "okta"), ("authentication", "windows"), ("account_change", "aws")]
    )
    return [
        logon(
            hour + chance.random() * 0.9, f"{source}-{hour}-{n}", chance.choice(ADDRESSES), table=table, source=source
        )
        for n in range(chance.randint(0, 5))
    ]


def a_history(chance: random.Random) -> list[Indicator]:
    """Rows of two lists: entries come, end, change and come again, always with a load."""
    rows = []
    for feed in ("one", "two"):
        for value in chance.sample(ADDRESSES, 3) + chance.sample(NETWORKS, 2):
            times = sorted(chance.sample(LOADS, chance.randint(1, 3)))
            category = 0
            while times:
                begin, category = times.pop(0), category + 1
                end = times[0] if times and chance.random() < 0.7 else None
                if times and end is not None and chance.random() < 0.4:
                    times.pop(0)  # gone for a while
                rows.append(Indicator(feed, value, begin, end, category=str(category)))
                if end is None:
                    break
    return rows


def as_of(history: Sequence[Indicator], load: float) -> list[Indicator]:
    """What the lists said after a load: rows that ended later had not ended yet."""
    known = [each for each in history if each.learned <= load]
    return [
        Indicator(each.feed, each.value, each.learned, each.until if each.until and each.until <= load else None,
                  category=each.category) for each in known
    ]  # fmt: skip


def by_hand(
    events: Sequence[Event], history: Sequence[Indicator], days: float
) -> list[tuple[str, str, str, str, bool]]:
    """What must be found: of each entry the row that holds at the event's time, or the first after it."""
    found = []
    for event in events:
        address = ip_address(event.attributes["src_endpoint"]["ip"])
        for each in history:
            earlier = [row.until for row in history if (row.feed, row.value) == (each.feed, each.value) and row.until]
            begin = max([each.learned // 1 - days * 24, *(end for end in earlier if end <= each.learned)])
            if (
                address in ip_network(each.value)
                and begin <= event.hour
                and (not each.until or event.hour < each.until)
            ):
                found.append((event.uid, each.feed, each.value, each.category, each.learned <= event.hour))
    return sorted(found)


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.storm) for seed in (2, 3, 4))])
def test_matching_step_by_step_gives_what_matching_at_the_end_gives(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    history, built = a_history(chance), dict[tuple[str, str, int], list[Event]]()
    store, load = LocalStore(tmp_path / "lake"), 0
    for number, step in enumerate(["build", "match", *chance.choices(["build", "load", "match"], [3, 1, 2], k=9)]):
        if step == "build":
            events = some_events(chance, chance.choice(HOURS)) or some_events(chance, 0)
            if events:
                built[events[0].table, events[0].source, int(events[0].hour)] = events
                build(store, events, mark=str(number), index=chance.random() < 0.8)
        elif step == "load":
            load = min(load + 1, len(LOADS) - 1)
        else:
            matched(store, tmp_path, as_of(history, LOADS[load]), days=1)
    matched(store, tmp_path, history, days=1)

    at_once = LocalStore(tmp_path / "at once")
    events = [event for found in built.values() for event in found]
    build(at_once, events)
    matched(at_once, tmp_path, history, days=1)
    assert everything(store) == everything(at_once)
    told = "event_uid, feed, indicator_value, category, was_known"
    assert sorted(rows(store, told)) == by_hand(events, history, days=1) != []
    assert matched(store, tmp_path, history, days=1).hours == 0
