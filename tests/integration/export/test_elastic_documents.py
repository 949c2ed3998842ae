"""Rows as documents of the Elastic Common Schema: by hand, and by published pairs of raw and OCSF events."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from lake.export.ecs import OWN_TYPES, classes_of, document, ecs, mapping
from lake.export.json_sql import columns_of
from tests.simulators import elastic
from tests.unit.export.lakes import SmallLake, event_ids, export

# The values that ECS allows, from its reference (8.17): categorization fields, and its field sets.
_CATEGORIES = """
api authentication configuration database driver email file host iam intrusion_detection library malware network package
process registry session threat vulnerability web
"""
_TYPES = """
access admin allowed change connection creation deletion denied device end error group indicator info installation
protocol start user
"""
_FIELD_SETS = """
@timestamp agent client cloud container data_stream destination device dll dns ecs email error event faas file group
host http labels log message network observer orchestrator organization package process registry related rule server
service source tags threat tls trace transaction url user user_agent volume vulnerability x509
"""
CATEGORIES, TYPES, FIELD_SETS = (set(words.split()) for words in (_CATEGORIES, _TYPES, _FIELD_SETS))


def documents(select: str, own: dict[str, str] | None = None) -> list[dict[str, Any]]:
    with duckdb.connect() as con:
        con.execute("set timezone = 'UTC'")
        con.execute(f"create table exported as {select}")
        columns = columns_of(con.sql("from exported"))
        text = document(columns, classes_of(con, columns), own or {})
        return [json.loads(row[0]) for row in con.execute(f"select {text} from exported").fetchall()]


def without(held: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in held.items() if name not in names}


def leaves(value: dict[str, Any], path: str = "") -> Iterator[str]:
    for name, inner in value.items():
        if isinstance(inner, dict):
            yield from leaves(inner, f"{path}{name}.")
        elif isinstance(inner, list) and inner and isinstance(inner[0], dict):
            yield from leaves(inner[0], f"{path}{name}.")
        else:
            yield f"{path}{name}"


def mapped(properties: dict[str, Any], path: str = "") -> Iterator[str]:
    for name, said in properties.items():
        if "properties" in said:
            yield from mapped(said["properties"], f"{path}{name}.")
        else:
            yield f"{path}{name}"


AT = "timestamp '2026-03-02 04:00:00.123456' as time_dt"


class TestClasses:
    def test_a_logon(self) -> None:
        (found,) = documents(
            f"""select {AT}, 3002 as class_uid, 'Authentication' as class_name, 1 as activity_id,
            'Logon' as activity_name, 2 as status_id, 3 as severity_id,
            'failed' as message, 'okta' as source, 'bad password' as status_detail,
            {{'uid': 'm1', 'event_code': 'user.session.start', 'product': {{'name': 'Okta', 'vendor_name': 'Okta'}}}} as
            metadata, {{'name': 'ann', 'uid': '', 'email_addr': 'ann@example.com'}} as user,
            {{'user': {{'name': 'proxy', 'uid': '7'}}}} as actor,
            {{'ip': '192.0.2.1', 'port': 443, 'hostname': null::varchar}} as src_endpoint, 'x' as logon_type"""
        )
        assert {
            "@timestamp": "2026-03-02T04:00:00.123456Z",
            "message": "failed",
            "ecs": {"version": ecs()["version"]},
            "event": {
                "kind": "event",
                "category": ["authentication"],
                "type": ["start"],
                "action": "Logon",
                "outcome": "failure",
                "severity": 3,
                "reason": "bad password",
                "id": "m1",
                "code": "user.session.start",
                "dataset": "okta",
            },
            "observer": {"product": "Okta", "vendor": "Okta"},
            "labels": {"ocsf_class": "Authentication"},
            "user": {"name": "ann", "id": "7", "email": "ann@example.com"},
            "source": {"ip": "192.0.2.1", "port": 443, "address": "192.0.2.1"},
            "related": {"ip": ["192.0.2.1"], "user": ["ann", "proxy"]},
        } == without(found, "ocsf")
        assert {"logon_type": "x", "class_uid": 3002} == {
            name: found["ocsf"][name] for name in ("logon_type", "class_uid")
        }
        assert not set(ecs()["placed"]) & set(found["ocsf"])

    def test_a_process_and_its_parent(self) -> None:
        hashes = "[{'algorithm': 'MD5', 'value': 'AB'}, {'algorithm': 'SHA-256', 'value': 'CD'}]"
        (found,) = documents(
            f"""select {AT}, 1007 as class_uid, 1 as activity_id, {{'name': 'reg.exe', 'pid': 7,
            'uid': 'p7', 'cmd_line': 'reg save', 'created_time': 1772424000123,
            'file': {{'path': 'C:\\reg.exe', 'hashes': {hashes}}},
            'parent_process': {{'name': 'cmd.exe', 'pid': 6}}, 'user': {{'name': 'ann'}}}} as process,
            {{'process': {{'name': 'other', 'pid': 1, 'cmd_line': 'cmd'}}}} as actor, 0 as exit_code,
            {{'hostname': 'h', 'os': {{'name': 'Windows', 'type_id': 100}}, 'ip': '2001:db8::1'}} as device"""
        )
        assert {
            "name": "reg.exe",
            "pid": 7,
            "entity_id": "p7",
            "command_line": "reg save",
            "executable": "C:\\reg.exe",
            "start": "2026-03-02T04:00:00.123Z",
            "exit_code": 0,
            "hash": {"md5": "ab", "sha256": "cd"},
            "parent": {"name": "cmd.exe", "pid": 6, "command_line": "cmd"},
        } == found["process"]
        assert {
            "hostname": "h",
            "name": "h",
            "ip": "2001:db8::1",
            "os": {"name": "Windows", "type": "windows"},
        } == found["host"]
        assert (["process"], ["start"]) == (found["event"]["category"], found["event"]["type"])

    def test_a_look_up_of_a_name(self) -> None:
        (found,) = documents(
            f"""select {AT}, 4003 as class_uid, {{'hostname': 'example.com', 'type': 'A', 'packet_uid': 7}} as query,
            'NOERROR' as rcode, [{{'rdata': '192.0.2.1', 'type': 'A', 'ttl': 60}}] as answers,
            {{'protocol_name': 'UDP', 'protocol_ver_id': 4, 'direction_id': 2}} as connection_info"""
        )
        assert {
            "id": "7",
            "question": {"name": "example.com", "type": "A"},
            "response_code": "NOERROR",
            "answers": [{"data": "192.0.2.1", "type": "A", "ttl": 60}],
        } == found["dns"]
        assert {"transport": "udp", "type": "ipv4", "direction": "outbound", "protocol": "dns"} == found["network"]

    def test_a_finding_with_its_rule_and_techniques(self) -> None:
        attack = "{'tactic': {'uid': 'TA0006', 'name': 'x'}, 'technique': {'uid': 'T1003', 'name': 'y'}}"
        (found,) = documents(
            f"""select {AT}, 2004 as class_uid, {{'uid': 'f', 'title': 'Dump', 'desc': 'long', 'first_seen_time':
            1772424000000, 'analytic': {{'uid': 'r1', 'name': 'Rule'}}, 'attacks': [{attack}, {attack}]}}
            as finding_info"""
        )
        assert ("alert", ["intrusion_detection"]) == (found["event"]["kind"], found["event"]["category"])
        assert {"id": "r1", "name": "Rule", "description": "long"} == found["rule"]
        assert {"tactic": {"id": ["TA0006"], "name": ["x"]}, "technique": {"id": ["T1003"], "name": ["y"]}} == found[
            "threat"
        ]
        assert ("Dump", "2026-03-02T04:00:00.000Z") == (found["message"], found["event"]["start"])

    def test_who_did_it_and_to_whom(self) -> None:
        (found,) = documents(
            f"""select {AT}, 3001 as class_uid, 6 as activity_id, {{'name': 'bob', 'uid': 'b'}} as user,
            {{'user': {{'name': 'ann', 'uid': 'a'}}}} as actor"""
        )
        assert {"name": "ann", "id": "a", "target": {"name": "bob", "id": "b"}} == found["user"]
        assert (["iam"], ["user", "deletion"]) == (found["event"]["category"], found["event"]["type"])

    def test_several_classes_in_one_table_each_by_its_own_rules(self) -> None:
        found = documents(
            f"select {AT}, unnest([3002, 1001, 999, null]) as class_uid, 1 as activity_id, {{'path': '/x'}} as file"
        )
        assert [["authentication"], ["file"], None, None] == [each["event"].get("category") for each in found]
        assert [None, {"path": "/x"}, None, None] == [each.get("file") for each in found]

    def test_what_is_no_address_stays_out_of_fields_of_addresses(self) -> None:
        found = documents(
            f"select {AT}, {{'ip': unnest(['-', '', null, 'localhost', '::1', '192.0.2.1', 'fe80::1'])}}"
            " as src_endpoint"
        )
        assert [None, None, None, None, "::1", "192.0.2.1", "fe80::1"] == [
            each.get("source", {}).get("ip") for each in found
        ]
        assert ["-", "localhost"] == [found[at]["ocsf"]["src_endpoint"]["ip"] for at in (0, 3)]

    def test_a_row_with_nothing_to_say_is_a_document_all_the_same(self) -> None:
        (found,) = documents("select null::varchar as message, null::timestamp as time_dt", {"event_id": "'\"x\"'"})
        assert {
            "ecs": {"version": ecs()["version"]},
            "event": {"kind": "event"},
            "headwater": {"event_id": "x"},
        } == found


class TestTable:
    def test_it_names_fields_and_values_of_ecs_alone(self) -> None:
        said = ecs()
        names = {*said["fields"], *(name for each in said["classes"].values() for name in each.get("fields", {}))}
        assert set() == {name.split(".")[0] for name in names} - FIELD_SETS
        for uid, each in said["classes"].items():
            assert set(each["category"]) <= CATEGORIES, uid
            types = each["type"]
            lists = [types] if isinstance(types, list) else [*types["is"].values(), types["else"]]
            assert {word for words in lists for word in words} <= TYPES, uid
        assert set(said["types"]) - names <= {"dns.answers.ttl"}

    def test_every_field_that_is_written_is_mapped(self, lake: SmallLake) -> None:
        """Else nothing would find it: the mapping takes no field that it does not know."""
        held = mapping()
        known = set(mapped(held["properties"]))
        lake.silver(rows=50)
        reader = lake.read(export())
        with reader.connect() as con:
            columns = columns_of(con.sql("from exported"))
            text = document(columns, classes_of(con, columns), dict.fromkeys(OWN_TYPES, "'1'"))
            found = [json.loads(row[0]) for row in con.execute(f"select {text} from exported").fetchall()]
        for each in found:
            assert set(leaves(without(each, "ocsf"))) <= known
            elastic._check(each, held["properties"])
        assert 50 == len(found)
        assert {"type": "flattened", "ignore_above": 8191} == held["properties"]["ocsf"]
        assert {"date", "ip", "long"} == {
            held["properties"]["@timestamp"]["type"],
            held["properties"]["source"]["properties"]["ip"]["type"],
            held["properties"]["source"]["properties"]["port"]["type"],
        }


class TestPublished:
    """Events that OCSF publishes beside what they were made of: the document says what the raw event says."""

    @pytest.fixture
    def samples(self, shared_data: Path) -> Path:
        folder = shared_data / "ocsf-examples/mappings/markdown"
        if not folder.is_dir():
            pytest.skip("OCSF's examples are absent: expected ocsf-examples in the folder of shared data")
        return folder

    @staticmethod
    def translated(file: Path) -> dict[str, Any]:
        (found,) = documents(f"select * from read_json('{file}', maximum_depth = 8)")
        return found

    def test_a_connection_of_zeek(self, samples: Path) -> None:
        folder = samples / "Zeek/v1.4.0/conn_log/samples"
        raw, found = json.loads((folder / "conn_log.raw").read_text()), self.translated(folder / "conn_log.ocsf")
        assert (raw["id.orig_h"], raw["id.orig_p"], raw["orig_bytes"], raw["orig_pkts"]) == (
            found["source"]["ip"],
            found["source"]["port"],
            found["source"]["bytes"],
            found["source"]["packets"],
        )
        assert (raw["id.resp_h"], raw["id.resp_p"], raw["resp_bytes"], raw["resp_cc"]) == (
            found["destination"]["ip"],
            found["destination"]["port"],
            found["destination"]["bytes"],
            found["destination"]["geo"]["country_iso_code"],
        )
        assert (raw["proto"], raw["service"], raw["orig_bytes"] + raw["resp_bytes"]) == (
            found["network"]["transport"],
            found["network"]["application"],
            found["network"]["bytes"],
        )
        assert (raw["uid"], ["network"], sorted([raw["id.orig_h"], raw["id.resp_h"]])) == (
            found["event"]["id"],
            found["event"]["category"],
            found["related"]["ip"],
        )
        assert raw["history"] == found["ocsf"]["connection_info"]["flag_history"]

    def test_a_logon_of_windows(self, samples: Path) -> None:
        folder = samples / "Microsoft/Windows Events/4624"
        raw, found = (folder / "4624_0.event").read_text(), self.translated(folder / "4624_0.json")
        new = raw[raw.index("New Logon") :]
        account = re.search(r"Account Name:\s*(\S+)", new)
        domain = re.search(r"Account Domain:\s*(\S[^\r\n<]*\S)", new)
        assert account and domain and (account[1], domain[1]) == (found["user"]["name"], found["user"]["domain"])
        assert "source" not in found or "ip" not in found["source"]  # the raw event says `-`
        assert ("success", ["authentication"], ["start"]) == (
            found["event"]["outcome"],
            found["event"]["category"],
            found["event"]["type"],
        )
        assert found["host"]["hostname"] in raw

    def test_a_process_of_windows(self, samples: Path) -> None:
        folder = samples / "Microsoft/Windows Events/4688"
        raw, found = (folder / "4688_0.event").read_text(), self.translated(folder / "4688_0.json")
        path = re.search(r"New Process Name:\s*(\S+)", raw)
        pid = re.search(r"New Process ID:\s*(0x[0-9a-f]+)", raw)
        parent = re.search(r"Creator Process Name:\s*(\S+)", raw)
        assert path and pid and parent
        process = found["process"]
        assert (path[1], int(pid[1], 16), parent[1]) == (
            process["executable"],
            process["pid"],
            process["parent"]["executable"],
        )
        assert process["command_line"].strip() in raw


@pytest.mark.parametrize("format_", ["ecs.ndjson", "ecs.ndjson.gz"])
def test_files_of_documents_are_written_and_counted(lake: SmallLake, format_: str) -> None:
    lake.silver(rows=25)
    receipt = lake.push(lake.destination(format=format_), export())
    assert (True, 25) == (receipt.matches, receipt.held_rows)
    path = lake.scratch / f"there/authentication/date=2026-03-02/hour=04/part.{format_}"
    with duckdb.connect() as con:
        rows = con.execute(f"select headwater.event_id, event.category from read_json('{path}')").fetchall()
    assert [(each, ["authentication"]) for each in event_ids(lake.read(export()))] == rows
