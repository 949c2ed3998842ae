"""MISP events give indicators, MISP warning lists what is known not to be malicious by itself."""

import json
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ingest.reference.formats import FormatError
from tests.unit.ingest.reference.formats.reading import Found, read_feed, read_text

SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def attribute(of: str, value: str, uuid: str = "a-1", **more: Any) -> dict[str, Any]:
    return {"uuid": uuid, "type": of, "value": value, "to_ids": True, "category": "Network activity"} | more


def read_event(folder: Path, *attributes: dict[str, Any], **options: Any) -> Found:
    event = {"Event": {"uuid": "e-1", "info": "Phishing wave", "Attribute": list(attributes)}}
    return read_text(folder, "misp_event", "indicators", json.dumps(event), **options)


# --- events ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("of", "value", "expected"),
    [
        ("ip-dst", "192.0.2.1", [("ip", "192.0.2.1")]),
        ("ip-src|port", "192.0.2.1|443", [("ip", "192.0.2.1")]),
        ("domain|ip", "e.example|192.0.2.1", [("domain", "e.example"), ("ip", "192.0.2.1")]),
        ("hostname|port", "e.example|80", [("domain", "e.example")]),
        ("filename|sha256", f"a|b.exe|{SHA256}".replace("a|b", "ab"), [("hash", SHA256)]),
        ("malware-sample", f"a.exe|{'0' * 32}", [("hash", "0" * 32)]),
        ("url", "hxxp://e[.]example/", [("url", "http://e.example/")]),
        ("email-src", "A@e.example", [("email", "a@e.example")]),
        ("vulnerability", "CVE-2024-1234", [("cve", "cve-2024-1234")]),
    ],
)
def test_types_that_can_be_looked_up(tmp_path: Path, of: str, value: str, expected: list[tuple[str, str]]) -> None:
    assert expected == read_event(tmp_path, attribute(of, value)).observables


def test_types_that_cannot_be_looked_up_are_rejected(tmp_path: Path) -> None:
    found = read_event(tmp_path, attribute("yara", "rule x"), attribute("ip-dst", "localhost"), attribute("md5", "zz"))
    assert "an attribute of type 'yara' is no observable that can be looked up" == found.reasons[0]
    assert (0, 3) == (len(found.entries), len(found.rejects))


def test_an_indicator_says_what_attribute_and_event_say(tmp_path: Path) -> None:
    event = {
        "uuid": "e-1",
        "info": "Phishing wave",
        "threat_level_id": "1",
        "Orgc": {"name": "CERT"},
        "Tag": [{"name": "tlp:amber"}, {"name": "type:OSINT"}],
        "Galaxy": [{"type": "threat-actor", "GalaxyCluster": [{"type": "threat-actor", "value": "TA1"}]}],
        "Object": [
            {
                "name": "domain-ip",
                "Attribute": [
                    attribute(
                        "ip-dst",
                        "192.0.2.1",
                        comment="C2",
                        first_seen="2026-02-01T00:00:00+01:00",
                        Tag=[{"name": 'misp-galaxy:malpedia="Emotet"'}],
                    )
                ],
            }
        ],
    }
    found = read_text(tmp_path, "misp_event", "indicators", json.dumps({"response": [{"Event": event}]}))
    assert found.payload() == {
        "uid": "a-1",
        "name": "Phishing wave",
        "description": "C2",
        "category": "Network activity",
        "malware": "Emotet",
        "threat_actor": "TA1",
        "severity": "high",
        "tlp": "amber",
        "labels": [
            'misp-galaxy:malpedia="Emotet"',
            "type:OSINT",
            'misp-galaxy:threat-actor="TA1"',
            "org:CERT",
        ],
    }
    assert found.entries[0].valid_from == datetime(2026, 1, 31, 23)


def test_context_is_passed_over_unless_asked_for(tmp_path: Path) -> None:
    context = attribute("ip-dst", "192.0.2.1", to_ids=False)
    assert ([], {"to_ids is not set": 1}) == (
        (found := read_event(tmp_path, context)).entries,
        found.skipped,
    )
    assert [("ip", "192.0.2.1")] == read_event(tmp_path, context, to_ids_only=False).observables


def test_what_was_deleted_comes_with_its_end(tmp_path: Path) -> None:
    (entry,) = read_event(tmp_path, attribute("ip-dst", "192.0.2.1", deleted=True, timestamp="1772000000")).entries
    assert entry.valid_to == datetime(2026, 2, 25, 6, 13, 20)


@pytest.mark.parametrize("text", ['{"value": 1}', "[1]", "not json", '{"name": "x", "type": "cidr", "list": []}'])
def test_what_is_no_event_is_told(tmp_path: Path, text: str) -> None:
    with pytest.raises(FormatError, match="no MISP event"):
        read_text(tmp_path, "misp_event", "indicators", text)


# --- warning lists -----------------------------------------------------------------------------------------------


def read_list(folder: Path, of: str, *items: str) -> Found:
    text = json.dumps({"name": "A list", "type": of, "version": 7, "description": "why", "list": items})
    return read_text(folder, "misp_warninglist", "warning_lists", text, category="test")


def test_hostnames_cover_what_is_below_them_and_strings_do_not(tmp_path: Path) -> None:
    found = read_list(tmp_path, "hostname", "example.com", ".example.org")
    assert [("domain", "example.com"), ("domain", "example.org")] == found.observables
    assert found.payload() == {"name": "A list", "category": "test", "description": "why", "covers_subdomains": True}
    assert read_list(tmp_path, "string", "example.com").payload()["covers_subdomains"] is False
    assert found.told == {"version": "7"}


@pytest.mark.parametrize("of", ["substring", "regex"])
def test_parts_of_values_are_no_keys(tmp_path: Path, of: str) -> None:
    found = read_list(tmp_path, of, "example", "/^ex/")
    assert ([], [f"lists of type {of} match parts of a value, which is no key"] * 2) == (found.entries, found.reasons)


def test_two_lists_may_name_the_same_network(tmp_path: Path) -> None:
    first = read_list(tmp_path, "cidr", "192.0.2.0/24").entries[0]
    text = json.dumps({"name": "B", "type": "cidr", "list": ["192.0.2.0/24"]})
    assert first.entry != read_text(tmp_path, "misp_warninglist", "warning_lists", text).entries[0].entry


def test_an_archive_of_lists_is_one_snapshot(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "lists.zip", "w") as archive:
        for name in ("a", "b"):
            archive.writestr(
                f"lists/{name}/list.json", json.dumps({"name": name, "type": "cidr", "list": ["10.0.0.0/8"]})
            )
        archive.writestr("schema.json", '{"type": "object"}')
    found = read_feed("misp_warninglist", "warning_lists", tmp_path / "lists.zip")
    assert ["a", "b"] == [entry.payload["name"] for entry in found.entries]
    assert ["no MISP warning list"] == found.reasons
