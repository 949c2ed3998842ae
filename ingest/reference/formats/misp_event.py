"""MISP events, as exported or as files of a MISP feed: their attributes, and those of their objects, are indicators.

Only attributes with `to_ids` are taken (`to_ids_only`): the others are context and would match everyone. What was
deleted comes with its end. Composite types give what can be looked up: `domain|ip` two observables, `filename|sha256`
and `ip-dst|port` one.

Sources: misp-standard.org, "MISP core format" (Event, Attribute, Object, Tag, `first_seen`, `deleted`, types and
categories); the galaxies' tags `misp-galaxy:<type>="<name>"`; threat_level_id 1 high, 2 medium, 3 low, 4 undefined.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from ingest.reference.formats import FormatError, FormatOptions, Mode, Source
from ingest.reference.observables import entries
from ingest.reference.reading.records import SHOWN, documents
from ingest.reference.reading.values import moment, strictest, text, texts, tlp_word
from ingest.reference.tables import INDICATORS, Entry, Reject

TABLES = (INDICATORS,)
MODE: Mode = "partial"  # a file has some events, not all
READS = "file"

_HASHES = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")
_KINDS = {
    **dict.fromkeys(("ip-src", "ip-dst", "ip"), "ip"),
    **dict.fromkeys(("domain", "hostname"), "domain"),
    **dict.fromkeys(("url", "uri", "link"), "url"),
    **dict.fromkeys(_HASHES, "hash"),
    **dict.fromkeys(("x509-fingerprint-md5", "x509-fingerprint-sha1", "x509-fingerprint-sha256"), "hash"),
    **dict.fromkeys(("ja3-fingerprint-md5", "hassh-md5", "hasshserver-md5"), "hash"),
    **dict.fromkeys(("email", "email-src", "email-dst", "email-reply-to"), "email"),
    "vulnerability": "cve",
}
_PASSED_OVER = {"port", "filename"}  # the other half of a composite type
_SEVERITIES = {"1": "high", "2": "medium", "3": "low"}
_MALWARE = {
    "malpedia",
    "mitre-malware",
    "mitre-tool",
    "ransomware",
    "tool",
    "banker",
    "stealer",
    "rat",
    "botnet",
    "backdoor",
}
_ACTORS = {"threat-actor", "mitre-intrusion-set", "microsoft-activity-group"}
_GALAXY_TAG = re.compile(r'misp-galaxy:([a-z0-9-]+)="([^"]+)"', re.IGNORECASE)


class Options(FormatOptions):
    """`to_ids_only`: attributes that are not meant for detection are passed over."""

    to_ids_only: bool = True


class _Context(NamedTuple):
    """What an event says of all its attributes: columns, tags and galaxy clusters as (type, name)."""

    columns: dict[str, object]
    tags: list[str]


def read(source: Source, options: Options) -> Iterator[Entry | Reject]:
    """Yield the entries of every event of a file or of an archive's files. Raises FormatError: no MISP event."""
    known = False
    for found in documents(source):
        events = [] if isinstance(found, Reject) else list(_events(found[1]))
        known = known or bool(events)
        for event in events:
            yield from _event(source, options, event)
        if not events:  # such as the manifest of a feed
            yield found if isinstance(found, Reject) else found[0].reject("no MISP event")
    if not known:
        raise FormatError(f"{source.name}: no MISP event: expected `Event` with `info` and `Attribute`")


def _events(value: Any) -> Iterator[dict[str, Any]]:
    """The shapes: {Event}, {response: [{Event}]}, [{Event}], the event alone."""
    if isinstance(value, dict) and isinstance(value.get("response"), list | dict):
        value = value["response"]
    for item in value if isinstance(value, list) else [value]:
        event = item.get("Event", item) if isinstance(item, dict) else None
        if isinstance(event, dict) and ("Attribute" in event or "Object" in event or "info" in event):
            yield event


def _event(source: Source, options: Options, event: dict[str, Any]) -> Iterator[Entry | Reject]:
    maker = event.get("Orgc")
    context = _Context(
        {
            "name": text(event.get("info")),
            "severity": _SEVERITIES.get(str(event.get("threat_level_id"))),
            "src_url": None,
        },
        [
            *_tags(event),
            *_clusters(event),
            *([f"org:{maker['name']}"] if isinstance(maker, dict) and maker.get("name") else []),
        ],
    )
    where = str(event.get("uuid") or event.get("id") or "event")
    for attribute, is_deleted in _attributes(event):
        if not isinstance(attribute, dict):
            yield Reject(str(attribute)[:SHOWN], where, "an attribute that is no object")
            continue
        if options.to_ids_only and not _is_true(attribute.get("to_ids")):
            source.skipped["to_ids is not set"] += 1
            continue
        uid = str(attribute.get("uuid") or attribute.get("id") or "")
        try:
            yield from _attribute(attribute, uid, context, is_deleted)
        except ValueError as error:
            yield Reject(str(attribute.get("value"))[:SHOWN], f"{where}, attribute {uid}", str(error))


def _attributes(event: dict[str, Any]) -> Iterator[tuple[Any, bool]]:
    """Every attribute, and whether it or its object is deleted."""
    for attribute in _list(event.get("Attribute")):
        yield attribute, _is_true(attribute.get("deleted")) if isinstance(attribute, dict) else False
    for thing in _list(event.get("Object")):
        gone = isinstance(thing, dict) and _is_true(thing.get("deleted"))
        for attribute in _list(thing.get("Attribute")) if isinstance(thing, dict) else [thing]:
            yield attribute, gone or (isinstance(attribute, dict) and _is_true(attribute.get("deleted")))


def _attribute(attribute: dict[str, Any], uid: str, context: _Context, is_deleted: bool) -> list[Entry]:
    of, value = str(attribute.get("type") or ""), str(attribute.get("value") or "")
    parts = list(zip(of.split("|"), value.split("|"), strict=False)) if "|" in of else [(of, value)]
    if of == "malware-sample":
        parts = [("filename", ""), ("md5", value.rpartition("|")[2])]
    wanted = [(_KINDS[part], given) for part, given in parts if part in _KINDS]
    if not wanted or any(part not in _KINDS and part not in _PASSED_OVER for part, _ in parts):
        raise ValueError(f"an attribute of type {of!r} is no observable that can be looked up")
    payload = _payload(attribute, uid, context)
    begin, end = moment(attribute.get("first_seen")), _end(attribute) if is_deleted else None
    found: list[Entry] = []
    for kind, given in wanted:
        found += entries(given, payload, kind, begin, end, within=uid)
    return found


def _end(attribute: dict[str, Any]) -> datetime | None:
    """When it was deleted: its last change."""
    return moment(attribute.get("timestamp"))


def _payload(attribute: dict[str, Any], uid: str, context: _Context) -> dict[str, object]:
    tags = [*_tags(attribute), *_clusters(attribute), *context.tags]
    galaxies = [(found[1].lower(), found[2]) for tag in tags if (found := _GALAXY_TAG.match(tag))]
    return {
        **context.columns,
        "uid": uid,
        "description": text(attribute.get("comment")),
        "category": text(attribute.get("category")),
        "malware": next((name for of, name in galaxies if of in _MALWARE), None),
        "threat_actor": next((name for of, name in galaxies if of in _ACTORS), None),
        "tlp": strictest(tags),
        "labels": texts([tag for tag in tags if tlp_word(tag) is None]),
    }


def _tags(thing: dict[str, Any]) -> Iterable[str]:
    return [str(tag["name"]) for tag in _list(thing.get("Tag")) if isinstance(tag, dict) and tag.get("name")]


def _clusters(thing: dict[str, Any]) -> Iterable[str]:
    """The clusters of galaxies as the tags that stand for them."""
    for galaxy in _list(thing.get("Galaxy")):
        for cluster in _list(galaxy.get("GalaxyCluster")) if isinstance(galaxy, dict) else []:
            if isinstance(cluster, dict) and cluster.get("value"):
                yield f'misp-galaxy:{cluster.get("type") or galaxy.get("type")}="{cluster["value"]}"'


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _is_true(value: Any) -> bool:
    return value in (True, 1, "1", "true", "True")
