"""The balance sheet the lake must arrive at: counted while the estate is written, never guessed from the plan.

`read = landed + quarantined` and `landed = published + duplicates` hold by construction of the count (a build may
filter more; `event_types` lets a test say how many). A duplicate is a record whose key and content came before; a
collision is a key that came before with other content, and both records are published.

Hours are UTC and named `2026-03-02T09`. The records of an object count for the hour of its delivery, Okta's
for the hour they are published in, by which its API serves them.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from orchestration.demo.estate.events import Event, hour_of, utc_millis

Hours = defaultdict[str, Counter[str]]


@dataclass
class Tally:
    """The counts of one source."""

    objects: int = 0
    ignored_objects: int = 0
    truncated_objects: int = 0
    lost: int = 0
    read: int = 0
    landed: int = 0
    duplicates: int = 0
    out_of_order: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    event_types: Counter[str] = field(default_factory=Counter)
    labels: dict[str, list[dict[str, str]]] = field(default_factory=lambda: defaultdict(list))
    arrival_hours: Hours = field(default_factory=lambda: defaultdict(Counter))
    event_hours: Hours = field(default_factory=lambda: defaultdict(Counter))
    _contents: dict[str, set[bytes]] = field(default_factory=dict)
    _previous: float = 0.0

    def add_object(self, records: list[Event], slot: float, members: int = 1) -> None:
        """Count a delivered object with its records; a zip is one object, counted with its first member."""
        if members == 1:
            self.objects += 1
            self.arrival_hours[hour_of(slot)]["objects"] += 1
        for event in records:
            self.add(event, slot)

    def cut(self, records: list[Event], whole: int, slot: float) -> None:
        """Count an object that breaks off in the record after `whole` complete ones."""
        self.truncated_objects += 1
        self.add_object(records[:whole], slot)
        self.lost += len(records) - whole
        self._quarantine("truncated_object", slot)

    def add(self, event: Event, delivered: float) -> None:
        """Count one record delivered at that moment."""
        self.kinds.update(event.kinds or ("clean",))
        if event.reason:
            self._quarantine(event.reason, delivered)
            return
        self.read, self.landed = self.read + 1, self.landed + 1
        hours = self.event_hours[hour_of(event.at)]
        hours["landed"] += 1
        self.arrival_hours[hour_of(delivered)].update(("read", "landed"))
        self.out_of_order += event.at < self._previous
        self._previous = event.at
        content = hashlib.md5(event.text, usedforsecurity=False).digest()
        known = self._contents.setdefault(event.key or content.hex(), set())
        if content in known:
            self.duplicates += 1
            hours["duplicates"] += 1
            return
        hours["published"] += 1
        hours["collisions"] += len(known) == 1
        known.add(content)
        self.event_types[event.event_type] += 1
        if event.label:
            self.labels[event.label].append({"key": event.key, "at": utc_millis(event.at)})

    def _quarantine(self, reason: str, delivered: float) -> None:
        self.read += 1
        self.quarantined[reason] += 1
        self.arrival_hours[hour_of(delivered)].update(("read", "quarantined"))

    def summary(self) -> dict[str, Any]:
        """The source's part of `truth.json`."""
        collisions = sum(len(contents) > 1 for contents in self._contents.values())
        return {
            "objects": self.objects,
            "ignored_objects": self.ignored_objects,
            "truncated_objects": self.truncated_objects,
            "lost_behind_truncation": self.lost,
            "read": self.read,
            "landed": self.landed,
            "quarantined": dict(sorted(self.quarantined.items())),
            "duplicates": self.duplicates,
            "published": self.landed - self.duplicates,
            "collisions": collisions,
            "collision_rows": sum(len(c) for c in self._contents.values() if len(c) > 1),
            "out_of_order": self.out_of_order,
            "kinds": dict(sorted(self.kinds.items())),
            "event_types": dict(sorted(self.event_types.items())),
            "by_arrival_hour": {hour: dict(counts) for hour, counts in sorted(self.arrival_hours.items())},
            "by_event_hour": {hour: dict(+counts) for hour, counts in sorted(self.event_hours.items())},
        }
