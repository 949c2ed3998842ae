"""What goes wrong with a delivery, on purpose and counted.

 - late: delivered 20 minutes to 20 hours after the event, beside the newest ones
 - duplicate: the same record again in a later delivery; cross_region: in another region's folder of the same account
 - collision: another record with the key of an earlier one (same event time, different content)
 - drift: a field nobody has announced
 - malformed: records that must end in quarantine, each with the one reason it is expected to get

Every fault's amount is a share of the source's events with a floor, so that small estates hold each of them.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from orchestration.demo.estate.company import REGIONS
from orchestration.demo.estate.events import Event, Record, dump
from orchestration.demo.estate.stories.incident import Planted

COLLISION_PAIRS = 3
_LATE_FROM_SECONDS, _LATE_TO_SECONDS = 1200.0, 20 * 3600.0
_DELAYS = {"aws_cloudtrail": (300.0, 660.0), "okta_system_log": (0.05, 0.4), "windows_event": (301.0, 359.0)}
_DRIFT: dict[str, tuple[str, Any]] = {
    "aws_cloudtrail": ("eventContextHint", {"model": "v2", "score": 0.12}),
    "okta_system_log": ("riskSignals", {"level": "LOW", "engine": 3}),
    "windows_event": ("CollectorRegion", "us-east"),
}
_KEY_FIELD = {"aws_cloudtrail": "eventID", "okta_system_log": "uuid", "windows_event": "EventID"}
_OTHER_FIELD = {"aws_cloudtrail": "eventTime", "okta_system_log": "eventType", "windows_event": "EventID"}
_TIME_FIELDS = {
    "aws_cloudtrail": ("eventTime",),
    "okta_system_log": ("published",),
    "windows_event": ("EventTime", "EventReceivedTime", "TimeCreated", "@timestamp", "UtcTime"),
}
# Field that tells two colliding records apart: (path, other value)
_TELL = {"aws_cloudtrail": "userAgent", "okta_system_log": "displayMessage", "windows_event": "Category"}


@dataclass(frozen=True, slots=True)
class Span:
    """The simulated time: epoch seconds of its start, and its whole hours."""

    start: float
    hours: int

    @property
    def end(self) -> float:
        """Epoch seconds of its end, which no delivery reaches."""
        return self.start + self.hours * 3600.0

    def arrival(self, moment: float) -> float:
        """`moment`, or the last second of the span when it lies beyond."""
        return min(moment, self.end - 1.0)


def amount(count: int, share: float, least: int) -> int:
    """How many of `count` events get a fault."""
    return max(least, round(count * share))


def deliver(
    build: Callable[[float, float], Event],
    source: str,
    moments: list[float],
    planted: Iterable[Planted],
    span: Span,
    rng: random.Random,
) -> list[Event]:
    """Build the source's events in order of their time, most on time and some late; planted ones always on time."""
    shortest, longest = _DELAYS[source]
    early = sum(1 for at in moments if at < span.end - 2 * _LATE_FROM_SECONDS)
    late = set(rng.sample(range(early), min(early, amount(len(moments), 0.004, 8))))
    order: list[tuple[float, int, Planted | None]] = [(at, i, None) for i, at in enumerate(moments)]
    order += [(p.at, len(moments) + i, p) for i, p in enumerate(planted)]
    events = []
    for at, index, plant in sorted(order, key=lambda item: item[:2]):
        delay = rng.uniform(shortest, longest)
        if index in late:
            room = min(_LATE_TO_SECONDS, span.end - 60.0 - at)
            delay = _LATE_FROM_SECONDS * (room / _LATE_FROM_SECONDS) ** rng.random()
        event = (plant.build if plant else build)(at, span.arrival(at + delay))
        if index in late:
            event.kinds = ("late",)
        if plant:
            event.label, event.pinned = plant.label, True
        events.append(event)
    return events


def plant_faults(
    events: list[Event], build: Callable[[float, float], Event], span: Span, rng: random.Random
) -> list[Event]:
    """Faulty records to deliver besides `events` (whose drifting ones are changed in place)."""
    source, count = events[0].source, len(events)
    plain = [e for e in events if not e.kinds and not e.label and e.at < span.end - 3600.0]
    picks = rng.sample(plain, min(len(plain), _needed(source, count)))
    _drift([picks.pop() for _ in range(amount(count, 0.002, 5))])
    extra = [_again(picks.pop(), span, rng) for _ in range(amount(count, 0.003, 6))]
    if source == "aws_cloudtrail":
        extra += [_elsewhere(picks.pop(), span) for _ in range(amount(count, 0.0004, 3))]
    keyed = [e for e in picks if e.key][:COLLISION_PAIRS]
    extra += [_collide(e, span, rng) for e in keyed]
    spoilt = [e for e in picks if not e.pinned][: amount(count, 0.00005, 2) * len(_reasons(source))]
    for number, model in enumerate(spoilt):
        reasons = _reasons(source)
        extra.append(_spoil(build, model, reasons[number % len(reasons)], number // len(reasons)))
    return extra


def _needed(source: str, count: int) -> int:
    parts = amount(count, 0.002, 5) + amount(count, 0.003, 6) + amount(count, 0.0004, 3)
    return parts + 8 * COLLISION_PAIRS + amount(count, 0.00005, 2) * len(_reasons(source))


def _reasons(source: str) -> tuple[str, ...]:
    """The quarantine reasons a source can show.

    An API that serves JSON objects by their time never breaks their syntax nor serves one from the future.
    """
    if source == "okta_system_log":
        return ("missing_field", "wrong_type", "bad_event_time")
    of_fields = ("missing_field", "wrong_type", "bad_event_time", "event_in_future", "not_an_object")
    return of_fields if source == "aws_cloudtrail" else (*of_fields, "not_json")


def _drift(events: list[Event]) -> None:
    for event in events:
        name, value = _DRIFT[event.source]
        event.text = dump(json.loads(event.text) | {name: value})
        event.kinds, event.pinned = (f"drift:{name}",), True


def _later(event: Event, span: Span, rng: random.Random) -> float:
    return span.arrival(event.arrived + rng.uniform(400.0, 3 * 3600.0))


def _again(event: Event, span: Span, rng: random.Random) -> Event:
    event.pinned = True
    return replace(event, arrived=_later(event, span, rng), kinds=("duplicate",))


def _elsewhere(event: Event, span: Span) -> Event:
    event.pinned = True
    account, region = event.lane
    other = REGIONS[1 - REGIONS.index(region)]
    return replace(
        event, arrived=span.arrival(event.arrived + 310.0), lane=(account, other), kinds=("duplicate_cross_region",)
    )


def _collide(event: Event, span: Span, rng: random.Random) -> Event:
    event.pinned = True
    record: Record = json.loads(event.text)
    record[_TELL[event.source]] = "not the same event, although its key says so"
    return replace(event, text=dump(record), arrived=_later(event, span, rng), kinds=("collision",))


def _spoil(build: Callable[[float, float], Event], model: Event, reason: str, turn: int) -> Event:
    """A fresh record of the model's time with one defect; turns vary the defect."""
    event = build(model.at, model.arrived)
    event.text, event.reason, event.kinds, event.pinned = _broken(event, reason, turn), reason, ("malformed",), True
    return event


def _broken(event: Event, reason: str, turn: int) -> bytes:
    if reason == "not_json":
        return (event.text[:-20], b"Mar  2 04:11:09 wec01 nxlog[811]: connection reset by peer", b'{"EventID":}')[
            turn % 3
        ]
    if reason == "not_an_object":
        return (b"[1,2,3]", b"17", b'"restarted"')[turn % 3]
    record: Record = json.loads(event.text)
    if reason == "missing_field":
        del record[(_KEY_FIELD, _OTHER_FIELD)[turn % 2][event.source]]
    elif reason == "wrong_type":
        record[_KEY_FIELD[event.source]] = {"number": record[_KEY_FIELD[event.source]]}
    else:
        for name in _TIME_FIELDS[event.source]:
            if name in record:
                record[name] = "the day before yesterday" if reason == "bad_event_time" else _in_2099(record[name])
    return dump(record)


def _in_2099(text: str) -> str:
    return "2099" + text[4:]
