"""Putting the estate together: build the events, spoil some, deliver them, write down the truth."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from orchestration.demo.estate.company import Company, found
from orchestration.demo.estate.context.reference import write_feeds, write_reference
from orchestration.demo.estate.delivery import write_cloudtrail, write_okta, write_windows
from orchestration.demo.estate.events import Event, times
from orchestration.demo.estate.expectations import expectations
from orchestration.demo.estate.faults import Span, deliver, plant_faults
from orchestration.demo.estate.networks import HOSTILE_ADDRESS
from orchestration.demo.estate.sources import cloudtrail, okta, windows
from orchestration.demo.estate.stories import pass_the_hash, routine
from orchestration.demo.estate.stories.incident import Planted, plan
from orchestration.demo.estate.timeline import Timeline
from orchestration.demo.estate.truth import Tally

SHARES = {windows.SOURCE: 0.45, cloudtrail.SOURCE: 0.30, okta.SOURCE: 0.25}
UNMAPPED = {cloudtrail.SOURCE: cloudtrail.UNMAPPED, okta.SOURCE: okta.UNMAPPED, windows.SOURCE: windows.UNMAPPED}
_FORMAT = 2  # raised when the same arguments give other bytes
_FOLDERS = ("cloudtrail", "okta", "windows", "reference")
_MARK = ".estate"


@dataclass(frozen=True, slots=True)
class Arguments:
    """What the estate follows from; `start` is an ISO 8601 hour in UTC."""

    seed: int = 7
    events: int = 200_000
    hours: int = 24
    start: str = "2026-03-02T00:00:00Z"

    def span(self) -> Span:
        """The simulated time. ValueError when it is not whole hours, at least three (faults need room to be late)."""
        at = datetime.fromisoformat(self.start)
        if at.tzinfo is None or at.timestamp() % 3600 or self.hours < 3:
            expected = "expected a full hour with an offset, and 3 hours or more"
            raise ValueError(f"start {self.start!r}, hours {self.hours}: {expected}")
        return Span(at.timestamp(), self.hours)


def _quiet(_: str) -> None: ...


def generate(out: Path, arguments: Arguments | None = None, say: Callable[[str], None] = _quiet) -> dict[str, Any]:
    """Write the estate into `out` and return the truth; an estate of the same arguments is left as it is.

    FileExistsError when `out` holds something that is not an estate. An estate of other arguments, or a half written
    one, is replaced.
    """
    arguments = arguments or Arguments()
    span, header = arguments.span(), {"format": _FORMAT, "arguments": asdict(arguments)}
    existing = _existing(out)
    if existing and {name: existing.get(name) for name in header} == header:
        say(f"{out}: already there")
        return existing
    _clear(out)
    company, timeline = found(arguments.seed), Timeline(span.start, span.hours)
    tallies: dict[str, Tally] = {}
    feeds = _feeds(company, arguments.seed)
    planted = _plan(company, feeds, timeline)
    for source in SHARES:
        rng = random.Random(f"{arguments.seed}/{source}/delivery")
        events = _events(source, feeds[source], planted, arguments.events, span, rng)
        tallies[source] = tally = Tally()
        _write(source, events, out, tally, span, rng)
        bad = tally.quarantined.total()
        say(f"{source}: {tally.read:,} records, {tally.duplicates:,} of them duplicates, {bad:,} malformed")
    write_reference(company, out)
    write_feeds(company, timeline, out)
    sources = {source: tally.summary() | {"unmapped": UNMAPPED[source]} for source, tally in sorted(tallies.items())}
    truth = header | {"hostile_address": HOSTILE_ADDRESS, "sources": sources}
    truth |= expectations(company, timeline, tallies, planted)
    (out / "truth.json").write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")
    return truth


def _feeds(company: Company, seed: int) -> dict[str, Any]:
    return {
        okta.SOURCE: okta.OktaFeed(company, random.Random(f"{seed}/okta")),
        windows.SOURCE: windows.WindowsFeed(company, random.Random(f"{seed}/windows")),
        cloudtrail.SOURCE: cloudtrail.CloudTrailFeed(company, random.Random(f"{seed}/cloudtrail")),
    }


def _plan(company: Company, feeds: dict[str, Any], timeline: Timeline) -> list[Planted]:
    logs = feeds[okta.SOURCE], feeds[windows.SOURCE]
    stories = plan(company, *logs, feeds[cloudtrail.SOURCE], timeline.start, timeline.hours)
    return [
        *stories,
        *pass_the_hash.plan(company, feeds[windows.SOURCE], timeline),
        *routine.plan(company, *logs, timeline),
    ]


def _events(source: str, feed: Any, planted: list[Planted], total: int, span: Span, rng: random.Random) -> list[Event]:
    stories = [p for p in planted if p.source == source]
    moments = times(round(total * SHARES[source]) - len(stories), span.start, span.hours, rng)
    events = deliver(feed.event, source, moments, stories, span, rng)
    return events + plant_faults(events, feed.event, span, rng)


def _write(source: str, events: list[Event], out: Path, tally: Tally, span: Span, rng: random.Random) -> None:
    if source == cloudtrail.SOURCE:
        write_cloudtrail(events, out, tally, rng)
    elif source == okta.SOURCE:
        write_okta(events, out, tally)
    else:
        write_windows(events, out, tally, span.hours)


def _existing(out: Path) -> dict[str, Any] | None:
    path = out / "truth.json"
    if not path.exists():
        return None
    truth: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return truth


def _clear(out: Path) -> None:
    """Make room: remove an older estate, but nothing that `generate` did not make."""
    if out.exists() and any(out.iterdir()) and not (out / _MARK).exists():
        raise FileExistsError(f"{out} holds something that is not an estate: choose an empty folder")
    out.mkdir(parents=True, exist_ok=True)
    (out / _MARK).write_text("made by orchestration.demo.estate; removed and written again when its arguments change\n")
    (out / "truth.json").unlink(missing_ok=True)
    for name in _FOLDERS:
        shutil.rmtree(out / name, ignore_errors=True)
