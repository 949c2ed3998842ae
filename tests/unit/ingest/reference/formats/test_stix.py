"""STIX indicators: what one observable can fulfil is an entry, and everything else says why it is none."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ingest.reference.formats import FormatError
from ingest.reference.reading.stix_patterns import NoSingleObservable, named_by
from ingest.reference.reading.values import strictest
from tests.unit.ingest.reference.formats.reading import Found, read_text

NEW, OLD = "2026-03-01T00:00:00.000Z", "2026-02-01T00:00:00.000Z"
MD5, SHA256 = "d41d8cd98f00b204e9800998ecf8427e", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def indicator(pattern: str, number: int = 1, **more: Any) -> dict[str, Any]:
    own = {"type": "indicator", "spec_version": "2.1", "id": f"indicator--{number}", "created": OLD, "modified": OLD}
    return own | {"pattern": pattern, "pattern_type": "stix", "valid_from": OLD} | more


def read_bundle(folder: Path, *objects: dict[str, Any]) -> Found:
    bundle = {"type": "bundle", "id": "bundle--1", "objects": list(objects)}
    return read_text(folder, "stix", "indicators", json.dumps(bundle))


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("[ipv4-addr:value = '192.0.2.1']", [("ip", "192.0.2.1")]),
        ("[ipv4-addr:value='192.0.2.0/24']", [("ip", "192.0.2.0/24")]),
        ("[ipv4-addr:value ISSUBSET '192.0.2.0/24']", [("ip", "192.0.2.0/24")]),
        ("[ipv6-addr:value = '2001:DB8::' OR domain-name:value = 'E.fr']", [("ip", "2001:db8::"), ("domain", "e.fr")]),
        ("[url:value = 'http://e/\\''] OR [email-addr:value = 'a@e.fr']", [("url", "http://e/'"), ("email", "a@e.fr")]),
        ("[ipv4-addr:value IN ('192.0.2.1', '192.0.2.2')]", [("ip", "192.0.2.1"), ("ip", "192.0.2.2")]),
        ("([domain-name:value = 'e.example'])", [("domain", "e.example")]),
        (f"[file:hashes.'SHA-256' = '{SHA256}']", [("hash", SHA256)]),
        (f"[file:hashes.MD5 = '{MD5}' AND file:hashes.'SHA-256' = '{SHA256}']", [("hash", MD5), ("hash", SHA256)]),
        (f"[file:hashes.MD5 = '{MD5}' OR file:hashes.\"SHA-256\" = '{SHA256}']", None),
    ],
)  # fmt: skip
def test_patterns_of_single_observables(tmp_path: Path, pattern: str, expected: list[tuple[str, str]] | None) -> None:
    found = read_bundle(tmp_path, indicator(pattern))
    assert (expected or [], expected is None) == (found.observables, bool(found.rejects))


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("[ipv4-addr:value = '192.0.2.1' AND network-traffic:dst_port = 443]", "AND"),
        (f"[file:hashes.MD5 = '{MD5}' AND file:name = 'a.exe']", "joins properties with AND"),
        ("[ipv4-addr:value = '192.0.2.1'] AND [domain-name:value = 'e.example']", "joins observations with AND"),
        ("[ipv4-addr:value = '192.0.2.1'] FOLLOWEDBY [url:value = 'http://e/']", "joins observations with FOLLOWEDBY"),
        ("[ipv4-addr:value = '192.0.2.1'] REPEATS 5 TIMES WITHIN 60 SECONDS", "repetition or a time"),
        ("[ipv4-addr:value != '192.0.2.1']", "what an observable is not"),
        ("[ipv4-addr:value NOT = '192.0.2.1']", "what an observable is not"),
        ("[ipv4-addr:value NOT IN ('192.0.2.1')]", "what an observable is not"),
        ("[domain-name:value LIKE '%.example']", "compares with LIKE"),
        ("[file:size > 5 OR url:value = 'http://e/']", "compares with >"),
        ("[EXISTS url:value]", "compares with EXISTS"),
        ("[ipv4-addr:value = 5]", "neither an address nor a network"),
        ("[mutex:name = 'x']", "mutex:name is no property"),
        ("[ipv4-addr:value = 'localhost']", "neither an address nor a network"),
        ("[ipv4-addr:value = ", "no pattern"),
        ("", "no pattern"),
        ("(" * 3000 + "[ipv4-addr:value != '192.0.2.1']" + ")" * 3000, "nested too deeply"),
        ("[" + "ipv4-addr:value = '192.0.2.1' OR " * 3000, "longer than"),
    ],
)
def test_any_other_pattern_is_rejected_with_its_reason(tmp_path: Path, pattern: str, reason: str) -> None:
    found = read_bundle(tmp_path, indicator(pattern))
    assert [] == found.entries
    assert reason in found.reasons[0]


def test_patterns_of_other_languages_are_rejected(tmp_path: Path) -> None:
    found = read_bundle(tmp_path, indicator("alert tcp any any", pattern_type="snort"))
    assert ["a pattern of type snort is no STIX pattern"] == found.reasons


def test_an_indicator_says_what_its_relationships_and_markings_say(tmp_path: Path) -> None:
    amber = "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003"
    own = {"type": "marking-definition", "id": "marking-definition--1", "definition": {"tlp": "green"}}
    given = indicator(
        "[ipv4-addr:value = '192.0.2.1']",
        name="C2",
        description="seen",
        confidence=85,
        indicator_types=["malicious-activity"],
        labels=["apt"],
        kill_chain_phases=[{"kill_chain_name": "mitre-attack", "phase_name": "command-and-control"}],
        external_references=[{"source_name": "x"}, {"source_name": "y", "url": "https://e.example/r"}],
        object_marking_refs=[own["id"], amber],
        valid_until=NEW,
    )
    relations = [
        {"type": "relationship", "id": f"r--{target}", "source_ref": "indicator--1", "target_ref": target}
        for target in ("malware--1", "threat-actor--1", "attack-pattern--1")
    ]
    names = [
        {"type": "threat-actor", "id": "threat-actor--1", "name": "TA1"},
        {"type": "malware", "id": "malware--1", "name": "Emotet"},
    ]
    found = read_bundle(tmp_path, given, own, *relations, *names)
    assert found.payload() == {
        "uid": "indicator--1",
        "name": "C2",
        "description": "seen",
        "category": "malicious-activity",
        "malware": "Emotet",
        "threat_actor": "TA1",
        "confidence": 85,
        "tlp": "amber+strict",
        "labels": ["malicious-activity", "apt", "mitre-attack:command-and-control"],
        "src_url": "https://e.example/r",
    }
    assert (datetime(2026, 2, 1), datetime(2026, 3, 1)) == (found.entries[0].valid_from, found.entries[0].valid_to)
    assert found.skipped == {"relationship": 3, "marking-definition": 1, "threat-actor": 1, "malware": 1}


@pytest.mark.parametrize(
    ("marks", "word"),
    [
        (["tlp:white"], "clear"),
        (["TLP:AMBER STRICT", "tlp:green"], "amber+strict"),
        (["marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed", "tlp:amber"], "red"),
        (["tlp:purple", "other"], None),
    ],
)
def test_the_strictest_mark_of_the_traffic_light_counts(marks: list[str], word: str | None) -> None:
    assert word == strictest(marks)


def test_what_was_revoked_ends_when_it_was(tmp_path: Path) -> None:
    revoked = indicator(
        "[ipv4-addr:value = '192.0.2.1']", revoked=True, modified=NEW, valid_until="2027-01-01T00:00:00Z"
    )
    early = indicator("[ipv4-addr:value = '192.0.2.2']", 2, revoked=True, modified=OLD, valid_from=NEW)
    found = read_bundle(tmp_path, revoked, early)
    assert [(datetime(2026, 2, 1), datetime(2026, 3, 1)), (datetime(2026, 2, 1), datetime(2026, 2, 1))] == [
        (entry.valid_from, entry.valid_to) for entry in found.entries
    ]


def test_the_newest_version_counts_whatever_the_order(tmp_path: Path) -> None:
    old, new = indicator("[ipv4-addr:value = '192.0.2.1']"), indicator("[ipv4-addr:value = '192.0.2.2']", modified=NEW)
    for objects in ((old, new), (new, old)):
        found = read_bundle(tmp_path, *objects)
        assert ([("ip", "192.0.2.2")], {"older version of an indicator": 1}) == (found.observables, found.skipped)


def test_stix_2_0_and_objects_one_a_line(tmp_path: Path) -> None:
    old_style = {
        "type": "indicator",
        "id": "indicator--1",
        "labels": ["malicious-activity"],
        "pattern": "[domain-name:value = 'e.example']",
        "valid_from": OLD,
    }
    found = read_text(
        tmp_path, "stix", "indicators", json.dumps(old_style) + "\n" + json.dumps({"type": "malware"}) + "\n"
    )
    assert ([("domain", "e.example")], "malicious-activity") == (found.observables, found.payload()["category"])


@pytest.mark.parametrize("text", ["<stix:STIX_Package/>", '{"value": 1}', "[1, 2]", '{"type": "bundle"}'])
def test_what_is_no_stix_is_told(tmp_path: Path, text: str) -> None:
    if "bundle" in text:
        assert [] == read_text(tmp_path, "stix", "indicators", text).entries
        return
    with pytest.raises(FormatError, match="no STIX 2 bundle"):
        read_text(tmp_path, "stix", "indicators", text)


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)


@settings(deadline=None, max_examples=25)
@given(TEXTS)
@example("it's a \\ b")
def test_simple_patterns_are_read_as_the_grammar_reads_them(path: str) -> None:
    """The quick way and the library's grammar agree on every URL that can be written into a pattern."""
    url = "http://e.example/" + path
    quoted = url.replace("\\", "\\\\").replace("'", "\\'")
    results = []
    for pattern in (f"[url:value = '{quoted}']", f"([url:value = '{quoted}'])"):
        try:
            results.append([named.text for named in named_by(pattern)])
        except NoSingleObservable:
            results.append(["none"])
    assert results[0] == results[1]
    assert results[0] in ([url], ["none"])
