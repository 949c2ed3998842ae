"""STIX objects → indicators: two looks at the objects, first at what indicators refer to, then at the indicators.

Source: STIX 2.1, sections 4.7 (Indicator), 5.1 (Relationship), 7.2 (markings). Of several versions of an indicator
(`modified`) the newest counts.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ingest.reference.formats import Source
from ingest.reference.observables import entries
from ingest.reference.reading.records import SHOWN
from ingest.reference.reading.stix_patterns import Named, NoSingleObservable, named_by
from ingest.reference.reading.values import moment, percent, strictest, text, texts
from ingest.reference.tables import Entry, Reject

_MALWARE = {"malware", "tool"}
_ACTORS = {"threat-actor", "intrusion-set", "campaign"}
# 2.0 indicators may have no pattern_type: the pattern is STIX.
_STIX = {"", "stix"}
Found = tuple[dict[str, Any], str] | Reject


@dataclass
class _Context:
    """What indicators refer to."""

    names: dict[str, str] = field(default_factory=dict)  # id of malware, tools, actors → name
    marks: dict[str, str] = field(default_factory=dict)  # id of a marking definition → its words
    related: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))  # indicator → ids
    newest: dict[str, str] = field(default_factory=dict)  # indicator → `modified`


def stix_entries(source: Source, looked_at: Callable[[], Iterable[Found]]) -> Iterator[Entry | Reject]:
    """Yield the entries of all indicators. `looked_at` gives the objects with their places, each time it is called."""
    context = _context(looked_at())
    for found in looked_at():
        if isinstance(found, Reject):
            yield found
            continue
        value, where = found
        if value.get("type") != "indicator":
            source.skipped[f"{str(value.get('type') or 'object without type')[:40]}"] += 1
        elif context.newest.get(str(value.get("id"))) != _modified(value):
            source.skipped["older version of an indicator"] += 1
        else:
            yield from _indicator(value, where, context)


def _context(found: Iterable[Found]) -> _Context:
    context = _Context()
    for each in found:
        if isinstance(each, Reject):
            continue
        value = each[0]
        of, uid = str(value.get("type")), str(value.get("id"))
        if of in _MALWARE | _ACTORS:
            context.names[uid] = str(value.get("name") or "")
        elif of == "marking-definition":
            definition = value.get("definition")
            given = definition.get("tlp") if isinstance(definition, dict) else None
            context.marks[uid] = str(given or value.get("name") or "")
        elif of == "relationship" and not value.get("revoked"):
            context.related[str(value.get("source_ref"))].append(str(value.get("target_ref")))
        elif of == "indicator":
            context.newest[uid] = max(context.newest.get(uid, ""), _modified(value))
    return context


def _modified(value: dict[str, Any]) -> str:
    """The version of an object, comparable as text: fractions of seconds may have any number of digits."""
    given = str(value.get("modified") or value.get("created") or "")
    found = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:[.](\d+))?Z", given)
    return f"{found[1]}.{(found[2] or '').ljust(9, '0')}Z" if found else given


def _indicator(value: dict[str, Any], where: str, context: _Context) -> Iterator[Entry | Reject]:
    pattern, of = str(value.get("pattern") or ""), str(value.get("pattern_type") or "").lower()
    uid = str(value.get("id") or "")
    try:
        if of not in _STIX:
            raise NoSingleObservable(f"a pattern of type {of} is no STIX pattern")
        payload = _payload(value, uid, context)
        begin, end = _times(value)
        found = [entry for named in named_by(pattern) for entry in _entries(named, payload, uid, begin, end)]
    except ValueError as error:
        yield Reject(pattern[:SHOWN], f"{where} {uid}".strip(), str(error))
        return
    yield from {entry.entry: entry for entry in found}.values()


def _entries(
    named: Named, payload: dict[str, object], uid: str, begin: datetime | None, end: datetime | None
) -> Iterator[Entry]:
    yield from entries(named.text, payload, named.kind, begin, end, within=uid)


def _times(value: dict[str, Any]) -> tuple[datetime | None, datetime | None]:
    """From when to when the provider says it holds; what was revoked held until it was."""
    begin, end = moment(value.get("valid_from")), moment(value.get("valid_until"))
    if value.get("revoked") is True:
        revoked = moment(value.get("modified"))
        end = min(each for each in (end, revoked) if each is not None) if end or revoked else None
    if begin and end and end < begin:  # revoked before it began: it never held
        begin = end
    return begin, end


def _payload(value: dict[str, Any], uid: str, context: _Context) -> dict[str, object]:
    types = texts(value.get("indicator_types") or [])
    labels = texts(value.get("labels") or [])
    phases = [
        f"{phase.get('kill_chain_name')}:{phase.get('phase_name')}"
        for phase in value.get("kill_chain_phases") or []
        if isinstance(phase, dict)
    ]
    references = [each for each in value.get("external_references") or [] if isinstance(each, dict) and each.get("url")]
    return {
        "uid": uid,
        "name": text(value.get("name")),
        "description": text(value.get("description")),
        "category": next(iter(types or labels), None),
        "malware": _related(uid, _MALWARE, context),
        "threat_actor": _related(uid, _ACTORS, context),
        "confidence": percent(value.get("confidence")),
        "tlp": strictest(_marks(value, context)),
        "labels": texts([*types, *labels, *phases]),
        "src_url": str(references[0]["url"]) if references else None,
    }


def _marks(value: dict[str, Any], context: _Context) -> Iterator[str]:
    for reference in value.get("object_marking_refs") or []:
        yield str(reference)
        yield context.marks.get(str(reference), "")


def _related(uid: str, types: set[str], context: _Context) -> str | None:
    targets = (each for each in context.related.get(uid, ()) if each.partition("--")[0] in types)
    return next((name for target in targets if (name := context.names.get(target))), None)
