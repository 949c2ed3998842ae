"""Loading a contract: what a good file gives, and the one line that each broken file gives."""

import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from ingest.contracts import Contract, ContractError, EventTime, load_contract

Document = dict[str, Any]

GOOD: Document = {
    "apiVersion": "v3.2.0",
    "kind": "DataContract",
    "id": "test.door_log",
    "name": "door_log",
    "version": "1.2.0",
    "status": "active",
    "description": {"purpose": "Who opened\nwhich door.", "limitations": "No windows."},
    "team": {"name": "site-security", "members": [{"username": "ada@example.com", "role": "owner"}]},
    "support": [
        {"channel": "#talk", "scope": "interactive", "url": "https://example.com"},
        {"channel": "#alerts", "scope": "issues", "url": "https://example.com"},
    ],
    "slaProperties": [
        {"property": "latency", "value": 5, "valueExt": 120, "unit": "m"},
        {"property": "frequency", "value": 1, "unit": "h"},
        {"property": "retention", "value": 1, "unit": "y"},
        {"property": "availability", "value": 99.5, "unit": "percent", "description": "Of the door controller."},
    ],
    "customProperties": [
        {"property": "eventTime", "value": [
            {"path": "at", "naiveIsUtc": True}, {"path": "epoch", "format": "epoch_millis"}]},
        {"property": "eventKeyFallback", "value": "record_hash"},
        {"property": "futureTolerance", "value": "10 m"},
        {"property": "volatile", "value": ["at"]},
        {"property": "arrivalPattern", "value": r"_(?P<at>\d{8}T\d{4}Z)_"},
        {"property": "arrivalFormat", "value": "%Y%m%dT%H%MZ"},
        {"property": "ignore", "value": ["*/digest/*"]},
    ],
    "schema": [
        {
            "name": "door_log",
            "businessName": "Door log",
            "logicalType": "object",
            "properties": [
                {"name": "number", "logicalType": "integer", "required": True,
                 "primaryKey": True, "primaryKeyPosition": 2,
                 "customProperties": [{"property": "accepts", "value": ["string"]}]},
                {"name": "door", "logicalType": "object", "properties": [
                    {"name": "id", "logicalType": "string", "primaryKey": True, "primaryKeyPosition": 1,
                     "customProperties": [{"property": "caseInsensitive", "value": True}]},
                    {"name": "open", "logicalType": "boolean"},
                ]},
                {"name": "at", "logicalType": "string", "required": True},
                {"name": "epoch", "logicalType": "integer"},
                {"name": "person", "logicalType": "string", "classification": "pii", "description": "Who.",
                 "customProperties": [{"property": "aliases", "value": ["who", "card.holder"]}]},
                {"name": "readers", "logicalType": "array", "items": {"logicalType": "object", "properties": [
                    {"name": "id", "logicalType": "string"}]}},
                {"name": "extra", "logicalType": "object", "physicalType": "JSON"},
            ],
        }
    ],
}  # fmt: skip


def write(folder: Path, document: Document) -> Path:
    """The document as `<folder>/door_log/contract.yaml`."""
    path = folder / "door_log" / "contract.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


@pytest.fixture
def good(tmp_path: Path) -> Contract:
    """The contract of a good file."""
    return load_contract(write(tmp_path, GOOD))


def test_key_follows_the_positions_and_reaches_into_objects(good: Contract) -> None:
    """primaryKeyPosition orders the key, whatever the order of the fields."""
    assert ("door.id", "number") == good.event_key
    assert good.field("door.id").case_insensitive
    assert "record_hash" == good.event_key_fallback


def test_time_candidates_keep_their_order(good: Contract) -> None:
    """The first candidate is preferred; iso8601 is the default format."""
    assert (EventTime("at", naive_is_utc=True), EventTime("epoch", "epoch_millis")) == good.event_times


def test_service_levels_are_time_spans(good: Contract) -> None:
    """Latency, frequency and retention become time spans; what else is promised is kept as it stands."""
    assert (timedelta(minutes=5), timedelta(hours=2)) == (good.lateness_p99, good.lateness_max)
    assert (timedelta(hours=1), timedelta(days=365)) == (good.cadence, good.retention)
    assert timedelta(minutes=10) == good.future_tolerance
    assert ["availability 99.5 percent"] == [
        f"{each.property} {each.value} {each.unit}" for each in good.service_levels
    ]


def test_people_and_words(good: Contract) -> None:
    """The owner is the member with that role, alerts go to the issues channel, text is on one line."""
    assert ("ada@example.com", "#alerts") == (good.owner, good.alert_channel)
    assert ("Who opened which door.", "No windows.", "Door log") == (good.description, good.limitations, good.title)


def test_owner_may_be_the_team(tmp_path: Path) -> None:
    """Without an owner among the members, the team is the owner."""
    document = deepcopy(GOOD)
    del document["team"]["members"]
    assert "site-security" == load_contract(write(tmp_path, document)).owner


def test_delivery_is_told_from_the_name(good: Contract) -> None:
    """The delivery time is in the object's name; digests are no events."""
    assert good.arrival_pattern is not None
    found = good.arrival_pattern.search("door_20240102T0304Z_x.json")
    assert found is not None and "20240102T0304Z" == found["at"]
    assert good.ignores("a/digest/b.json") and not good.ignores("a/log/b.json")
    assert (("Records",), "object_store") == (good.records_keys, good.transport)


def test_violations_default_to_quarantine_only_for_key_and_required(good: Contract) -> None:
    """An optional field of a wrong type never costs the record."""
    found = {each.path: each.on_violation for each in good.walk()}
    assert {"number", "door.id", "at"} == {path for path, action in found.items() if action == "quarantine"}
    assert {"null", "quarantine"} == set(found.values())


def test_fingerprint_changes_with_the_file(good: Contract, tmp_path: Path) -> None:
    """Receipts name the contract by its content."""
    assert good.fingerprint != load_contract(write(tmp_path, GOOD | {"version": "1.2.1"})).fingerprint


def change(where: str, value: Any) -> Callable[[Document], None]:
    """Sets what stands at a place such as `schema.0.name`; ... removes it."""

    def apply(document: Document) -> None:
        *steps, last = [int(step) if step.isdigit() else step for step in where.split(".")]
        holder: Any = document
        for step in steps:
            holder = holder[step]
        if value is ...:
            del holder[last]
        else:
            holder[last] = value

    return apply


FIELD = "schema.0.properties."
CUSTOM = "customProperties."
SLA = "slaProperties."

BROKEN = [
    ("kind", ..., "contract: not ODCS v3: expected kind DataContract"),
    ("apiVersion", "v2.2.2", "contract: not ODCS v3: expected kind DataContract and apiVersion v3.x, found"),
    ("colour", "red", "colour: not ODCS: Extra inputs are not permitted"),
    ("name", ..., "name: missing"),
    ("version", ..., "version: missing"),
    ("team", ..., "team: missing owner"),
    ("support", [], "support: missing alert channel"),
    ("schema", [], "schema: expected one object with properties, found 0 object(s)"),
    (FIELD + "6.name", "person", "person: duplicate name, declared before as 'person'"),
    (FIELD + "6.name", "PERSON", "PERSON: duplicate name, declared before as 'person'"),
    (FIELD + "6.name", "Date", "Date: the lake's folders are called so"),
    (FIELD + "1.properties.1.name", "id", "door.id: duplicate name, declared before as 'id'"),
    (FIELD + "6.name", ..., "schema: property 7 has no usable name, found None"),
    (FIELD + "6.name", 'a"b', "schema: property 7 has no usable name"),
    (FIELD + "4.logicalType", "varchar", "person: unknown type 'varchar'; expected one of array, boolean"),
    (FIELD + "4.logicalType", ..., "person: unknown type None"),
    (FIELD + "3.physicalType", "JSON", "epoch: physicalType JSON with logicalType 'integer'"),
    (FIELD + "6.physicalType", ..., "extra: an object declares its properties"),
    (FIELD + "4.properties", [{"name": "x", "logicalType": "string"}], "person: has properties but is of type string"),
    (FIELD + "4.items", {"logicalType": "string"}, "person: has items but is of type string"),
    (FIELD + "5.items.properties.0.logicalType", "text", "readers[*].id: unknown type 'text'"),
    (FIELD + "4.requird", True, "person: not ODCS: Unevaluated properties are not allowed ('requird'"),
    (FIELD + "4.customProperties.0.property", "alias", "person: unknown custom property 'alias'; expected one of"),
    (FIELD + "5.items.properties.0.clasification", "pii", "readers[*].id: not ODCS: Unevaluated properties"),
    (SLA + "1.untit", "h", "slaProperties.frequency: not ODCS: Additional properties are not allowed ('untit'"),
    (FIELD + "4.customProperties.0.value", "who", "person: custom property aliases: found 'who', expected a list"),
    (FIELD + "4.customProperties.0.value", [7], "person: custom property aliases: found 7, expected a list of texts"),
    (FIELD + "4.customProperties.0.value", ["a..b"], "person: aliases: not a path: 'a..b'"),
    (FIELD + "4.customProperties.0.value", ["person"], "person: aliases: 'person' is the field's own name"),
    (FIELD + "5.items.properties.0.customProperties", [{"property": "aliases", "value": ["ID"]}],
     "readers[*].id: aliases: not supported inside a list"),
    (FIELD + "0.customProperties.0.value", ["text"], "number: accepts: found 'text', expected one of array"),
    (FIELD + "0.customProperties.0.value", ["integer"], "number: accepts: integer is the declared type itself"),
    (FIELD + "0.customProperties", [{"property": "onViolation", "value": "drop"}],
     "number: onViolation: found 'drop', expected one of null, quarantine, stall"),
    (FIELD + "0.customProperties", [{"property": "caseInsensitive", "value": "yes"}],
     "number: custom property caseInsensitive: found 'yes', expected true or false"),
    (FIELD + "0.primaryKeyPosition", 1, "door.id: primaryKeyPosition 1 is taken by 'number'"),
    (FIELD + "0.logicalType", "number", "number: 'number' is of type number, expected one of integer, string"),
    (FIELD + "5.items.properties.0", {"name": "id", "logicalType": "string", "primaryKey": True},
     "readers[*].id: primaryKeyPosition 1 is taken by 'door.id'"),
    (FIELD + "5.items.properties.0",
     {"name": "id", "logicalType": "string", "primaryKey": True, "primaryKeyPosition": 9},
     "readers[*].id: 'readers[*].id' is inside a list"),
    (CUSTOM + "0", {"property": "ignore", "value": []}, "customProperties: custom property ignore given twice"),
    (CUSTOM + "6", {"property": "stallAbove", "value": 1.5}, "stallAbove: found 1.5, expected a share of a batch's"),
    (CUSTOM + "6", {"property": "transprot", "value": "x"}, "customProperties: unknown custom property 'transprot'"),
    (CUSTOM + "6", {"property": "transport", "value": "pigeon"}, "transport: found 'pigeon', expected one of"),
    (CUSTOM + "0.value", [], "eventTime: missing event time"),
    (CUSTOM + "0.value", ["at"], "eventTime: found 'at', expected a mapping with path"),
    (CUSTOM + "0.value.0.path", "when", "eventTime: 'when' is not a declared field"),
    (CUSTOM + "0.value.0.path", "epoch", "eventTime: 'epoch' is of type integer, expected one of string"),
    (CUSTOM + "0.value.0.format", "rfc2822", "at: unknown time format 'rfc2822'; expected one of epoch_micros"),
    (CUSTOM + "0.value.0.naive", True, "eventTime: unknown key 'naive'; expected one of format"),
    (CUSTOM + "0.value.0.naiveIsUtc", "no", "at: naiveIsUtc: found 'no', expected true or false"),
    (CUSTOM + "0.value.0.zoneFrom", ["at", "person"], "at: zoneFrom: expected two paths (local, UTC)"),
    (CUSTOM + "0.value.1", {"path": "at", "zoneFrom": ["at", "sent"]}, "eventTime: 'sent' is not a declared field"),
    (CUSTOM + "1.value", "row_number", "eventKeyFallback: found 'row_number', expected one of record_hash"),
    (CUSTOM + "2.value", "soon", "futureTolerance: expected a number and a unit such as '1 h', found 'soon'"),
    (CUSTOM + "2.value", "10 parsecs", "futureTolerance: expected a unit of s, m, min, h, d, w, y, found 'parsecs'"),
    (CUSTOM + "3.value", ["tags"], "volatile: 'tags' is not a declared top-level field"),
    (CUSTOM + "4.value", "(", "arrivalPattern: not a regular expression"),
    (CUSTOM + "4.value", r"\d+", "arrivalPattern: expected a group named at"),
    (CUSTOM + "5", ..., "arrivalPattern: arrivalPattern and arrivalFormat are given together"),
    (CUSTOM + "5.value", "%Q", "arrivalFormat: not a strptime format"),
    (SLA + "0", ..., "slaProperties: missing latency"),
    (SLA + "1", ..., "slaProperties: missing frequency"),
    (SLA + "1.property", "latency", "latency: given twice"),
    (SLA + "0.value", "soon", "latency: expected a positive number, found 'soon'"),
    (SLA + "0.value", -1, "latency: expected a positive number, found -1"),
    (SLA + "0.valueExt", ..., "latency: expected a positive number, found None"),
    (SLA + "0.valueExt", 1, "latency: valueExt (maximum) is smaller than value (99th percentile)"),
    (SLA + "1.unit", "fortnight", "frequency: expected a unit of s, m, min, h, d, w, y, found 'fortnight'"),
    (SLA + "2.value", 1e30, "retention: too long"),
]  # fmt: skip


@pytest.mark.parametrize(("where", "value", "message"), BROKEN, ids=[f"{each[0]}={each[1]!r}"[:60] for each in BROKEN])
def test_broken_contract_is_one_line_with_file_and_field(tmp_path: Path, where: str, value: Any, message: str) -> None:
    """Every mistake names the file, the field and what is wrong with it."""
    document = deepcopy(GOOD)
    change(where, value)(document)
    path = write(tmp_path, document)
    with pytest.raises(ContractError) as caught:
        load_contract(path)
    assert f"{path}: {message}" == str(caught.value)[: len(f"{path}: {message}")]
    assert "\n" not in str(caught.value)


def test_no_key_at_all(tmp_path: Path) -> None:
    """A contract without an event key cannot remove duplicates."""
    document = deepcopy(GOOD)
    change(FIELD + "0.primaryKey", False)(document)
    change(FIELD + "1.properties.0.primaryKey", False)(document)
    with pytest.raises(ContractError, match="primaryKey: missing event key"):
        load_contract(write(tmp_path, document))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "contract: cannot be read: No such file or directory"),
        (b"a: [1", "contract: not YAML: "),
        (b"\xff\xfe\x00", "contract: is not UTF-8 at byte 0: save it as UTF-8"),
        (b"- a\n", "contract: not ODCS: expected `key: value` lines at the top, found a list"),
        (b"1: a\n", "contract: not ODCS: "),
        (b"schema: 7\n", "schema: not ODCS: Input should be a valid list"),
    ],
)
def test_file_that_is_no_contract(tmp_path: Path, text: bytes | None, message: str) -> None:
    """Files that cannot be read, are not YAML or not ODCS say so."""
    path = tmp_path / "contract.yaml"
    if text is not None:
        path.write_bytes(text)
    with pytest.raises(ContractError) as caught:
        load_contract(path)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert "\n" not in str(caught.value)


def test_loading_needs_no_network() -> None:
    """I9: importing and loading all contracts opens no socket."""
    code = (
        "import socket\n"
        "def refuse(*_, **__): raise AssertionError('network')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from ingest.contracts import load_contracts\n"
        "print(*load_contracts())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"aws_cloudtrail", "okta_system_log", "windows_event"} <= set(done.stdout.split())
