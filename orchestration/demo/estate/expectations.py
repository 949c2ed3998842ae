"""What a lake has to find out about an estate: the stories, event by event, and what must be known about them.

Written into `truth.json`:

 - a part per story (`incident`, `look_alike`, `pass_the_hash`, `routine`) with the labelled events
 - `signals`: per product the incidents that it has to report, and the events that it must leave alone. Events are named
   by their `metadata.uid`; a signal is true when one of its evidence events belongs to an incident, an incident is
   found when a signal has one of its events
 - `context`: which asset an address belonged to, who an account was, at the time of an event
 - `retro`: per indicator, the events that it matches: those known at their time, and those that turned out later

Everything is taken from the events as they were written. Times are UTC.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from orchestration.demo.estate.company import Company
from orchestration.demo.estate.context import cmdb, directory, intel
from orchestration.demo.estate.networks import HOSTILE_ADDRESS
from orchestration.demo.estate.sources import okta, windows
from orchestration.demo.estate.stories import pass_the_hash, routine
from orchestration.demo.estate.stories.incident import HOSTILE_DOMAIN, PATHS, SERVER, Planted
from orchestration.demo.estate.timeline import Timeline, utc
from orchestration.demo.estate.truth import Tally

Steps = list[dict[str, Any]]
SENTENCE = (
    "A finance controller's account that never touched production logged into a PCI database server"
    " from an address flagged ten minutes ago."
)
# Steps whose events carry the hostile address where an observable stands; of the domain likewise.
_WITH_ADDRESS = ("network_logon", "remote_desktop_logon", "dns_query", "connection")
_WITH_DOMAIN = ("dns_query", "connection")


def expectations(
    company: Company, timeline: Timeline, tallies: Mapping[str, Tally], planted: Iterable[Planted]
) -> dict[str, Any]:
    """Return the parts of `truth.json` that say what is to be found out."""
    stories = {path.story: {"user": path.person, "address": path.address, "server": SERVER} for path in PATHS}
    origin, *targets = pass_the_hash.machines(company)
    stories[pass_the_hash.STORY] = {"user": pass_the_hash.ACCOUNT, "address": origin.address}
    stories[routine.STORY] = {}
    told = {
        story: about | _span(planted, story) | {"events": _steps(tallies, story)} for story, about in stories.items()
    }
    finding = {
        "incident": {"user": PATHS[0].person, "assets": [SERVER], "severity": ["Critical"], "sentence": SENTENCE},
        "pass_the_hash": {
            "user": pass_the_hash.ACCOUNT,
            "assets": [host.name for host in targets],
            "severity": ["Medium", "High"],
        },
    }
    return told | {
        "signals": {"lateral_movement": _signals(told, finding)},
        "context": _context(company, told),
        "retro": _retro(timeline, tallies, told),
    }


def _span(planted: Iterable[Planted], story: str) -> dict[str, float]:
    moments = [each.at for each in planted if each.story == story]
    return {"from": min(moments), "to": max(moments)}


def _steps(tallies: Mapping[str, Tally], story: str) -> Steps:
    return [
        {"source": source, "step": label.partition("/")[2], **event}
        for source, tally in tallies.items()
        for label, events in sorted(tally.labels.items())
        for event in events
        if label.partition("/")[0] == story
    ]


def _signals(told: Mapping[str, Any], finding: Mapping[str, Any]) -> dict[str, Any]:
    """Incidents, with the events of each; and who must not be reported for which events."""
    incidents = [
        {"incident": story, **about, "from": utc(told[story]["from"]), "to": utc(told[story]["to"])}
        | {"events": [_uid(event) for event in told[story]["events"]]}
        for story, about in finding.items()
    ]
    innocent = {story: [_uid(event) for event in told[story]["events"]] for story in told if story not in finding}
    # The evening sign-in is what makes the later one an impossible journey: evidence of it, and innocent in itself.
    return {"incidents": incidents, "innocent": innocent}


def _uid(event: Mapping[str, str]) -> str:
    """`metadata.uid` of a labelled event."""
    return event["key"].lower()


def _context(company: Company, told: Mapping[str, Any]) -> dict[str, Any]:
    """What holds at the time of some events of the routine; null where nothing is known."""
    events: dict[str, str] = {}
    for event in told[routine.STORY]["events"]:
        events.setdefault(event["step"], _uid(event))
    holders = {"first_holder": cmdb.FIRST_HOLDER, "second_holder": cmdb.SECOND_HOLDER, "no_holder": None}
    assets = {
        events[step]: {"address": cmdb.LEASED_ADDRESS, "asset": holder and company.person(holder).workstation}
        | {"owner": holder}
        for step, holder in holders.items()
    }
    before = company.person(directory.CHANGED).department
    people = {
        "before_the_move": (directory.CHANGED, before, "active"),
        "after_the_move": (directory.CHANGED, directory.NEW_DEPARTMENT, "active"),
        "after_leaving": (directory.LEFT, company.person(directory.LEFT).department, "terminated"),
        "before_the_hire": (directory.JOINED, None, None),
        "new_hire_logon": (directory.JOINED, company.person(directory.JOINED).department, "active"),
    }
    identities = {
        events[step]: {"username": username, "department": department, "status": status}
        for step, (username, department, status) in people.items()
    }
    return {"assets": assets, "identities": identities}


def _retro(timeline: Timeline, tallies: Mapping[str, Tally], told: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Per indicator: which events it matches, and how long after an event the match could be known."""
    incident = told["incident"]["events"]
    everywhere = [e for e in incident if e["source"] != windows.SOURCE or e["step"] in _WITH_ADDRESS]
    named = [e for e in incident if e["source"] == windows.SOURCE and e["step"] in _WITH_DOMAIN]
    tool = [e for e in incident if e["step"] == "service_process"]
    _, domain_known, hash_known = timeline.cold_lists
    return [
        _matches(intel.QUICK, HOSTILE_ADDRESS, timeline.flagged, everywhere),
        _matches(intel.SLOW, HOSTILE_DOMAIN, domain_known, named),
        _matches(intel.SLOW, intel.TOOL_HASH, hash_known, tool),
        _noise(timeline, tallies, told),
    ]


def _matches(feed: str, indicator: str, learned: float, events: Steps) -> dict[str, Any]:
    late = sorted((e for e in events if e["at"] < utc(learned)[:-1] + ".000Z"), key=lambda e: e["at"])
    return {
        "feed": feed,
        "indicator": indicator,
        "learned_at": utc(learned),
        "events": len(events),
        "known_at_the_time": len(events) - len(late),
        "found_later": [{"uid": _uid(event), "at": event["at"]} for event in late],
    }


def _noise(timeline: Timeline, tallies: Mapping[str, Tally], told: Mapping[str, Any]) -> dict[str, Any]:
    """The scanners' network: all that comes from it was known when it came, and none of it got in."""
    tried = sum(event["step"] == "scanner_failure" for event in told[routine.STORY]["events"])
    seen = tallies[okta.SOURCE].event_types["security.threat.detected"] + tried
    learned = utc(timeline.threat_lists[0])
    return {"feed": intel.QUICK, "indicator": intel.SCANNERS, "learned_at": learned, "events": seen} | {
        "known_at_the_time": seen,
        "found_later": [],
    }
