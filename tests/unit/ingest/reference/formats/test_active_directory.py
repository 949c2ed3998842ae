"""One export of a directory gives identities and assets, in whatever shape it comes."""

import base64
import json
import struct
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ingest.reference.formats import FormatError
from tests.unit.ingest.reference.formats.reading import Found, read_feed, read_text

SID = "S-1-5-21-1-2-3-1104"
ALICE: dict[str, Any] = {
    "ObjectClass": "user",
    "SamAccountName": "alice",
    "UserPrincipalName": "alice@corp.example",
    "SID": {"BinaryLength": 28, "Value": SID},
    "ObjectGUID": "0E3C9F6A-6B1E-4B7B-9F6E-2E7B7D3F1A11",
    "DistinguishedName": "CN=Arno\\, Alice,OU=Staff,DC=corp,DC=example",
    "DisplayName": "Alice Arno",
    "Title": "Controller",
    "Department": "Finance",
    "mail": "Alice@corp.example",
    "Manager": "CN=Berg\\, Bo,OU=Staff,DC=corp,DC=example",
    "MemberOf": ["CN=Backup Operators,CN=Builtin,DC=corp,DC=example"],
    "primaryGroupID": 513,
    "employeeType": "Contractor",
    "EmployeeID": "4711",
    "SIDHistory": [{"Value": "S-1-5-21-9-9-9-5"}],
    "Enabled": True,
    "userAccountControl": 512,
    "accountExpires": 9223372036854775807,
    "whenCreated": "\\/Date(1704164645000)\\/".replace("\\", ""),
}


def binary_sid(text: str) -> bytes:
    parts = [int(part) for part in text.split("-")[2:]]
    return bytes([1, len(parts) - 1]) + parts[0].to_bytes(6, "big") + struct.pack(f"<{len(parts) - 1}I", *parts[1:])


def read_json(folder: Path, *objects: dict[str, Any], table: str = "identities", **options: Any) -> Found:
    return read_text(folder, "active_directory", table, "\n".join(map(json.dumps, objects)), **options)


# --- the real export ---------------------------------------------------------------------------------------------


def test_the_real_export_of_nine_rows_gives_seven_entities(shared_data: Path) -> None:
    path = shared_data / "logstory/usecases/RULES_SEARCH_WORKSHOP/ENTITIES/WINDOWS_AD.log"
    users = read_feed("active_directory", "identities", path)
    computers = read_feed("active_directory", "assets", path)
    assert (5, 4) == (len(users.entries), len(computers.entries))
    assert 7 == len({entry.entry for entry in users.entries + computers.entries})
    assert ([], []) == (users.rejects, computers.rejects)
    assert ({"computer": 4}, {"user": 5}) == (users.skipped, computers.skipped)

    by_name = {entry.payload["username"]: entry.payload for entry in users.entries}
    assert {"admin", "tim.smith", "frank.kolzig"} == {name for name, of in by_name.items() if of["is_privileged"]}
    assert ("Marketing", "STACKEDPADS\\steve.hasek") == (
        by_name["steve.hasek"]["department"],
        by_name["steve.hasek"]["usernames"][1],
    )
    controller = {entry.payload["name"]: entry.payload for entry in computers.entries}["ACTIVEDIR"]
    assert (["domain-controller"], ["10.1.0.4"]) == (controller["tags"], controller["addresses"])
    assert ["activedir.stackedpads.local", "activedir.ad.local", "activedir"] == controller["hostnames"]


# --- what attributes mean ----------------------------------------------------------------------------------------


def test_a_user_is_an_identity_with_all_its_names(tmp_path: Path) -> None:
    found = read_json(tmp_path, ALICE)
    assert found.payload() == {
        "uid": SID,
        "username": "alice",
        "full_name": "Alice Arno",
        "emails": ["alice@corp.example"],
        "uids": [
            SID,
            "0e3c9f6a-6b1e-4b7b-9f6e-2e7b7d3f1a11",
            "S-1-5-21-9-9-9-5",
            "4711",
            "CN=Arno\\, Alice,OU=Staff,DC=corp,DC=example",
        ],
        "usernames": ["alice@corp.example", "CORP\\alice"],
        "domain": "corp.example",
        "title": "Controller",
        "department": "Finance",
        "manager": "Berg, Bo",
        "employment_type": "Contractor",
        "is_privileged": True,
        "groups": ["Backup Operators", "Domain Users"],
        "status": "active",
    }
    assert found.entries[0].valid_from == datetime(2024, 1, 2, 3, 4, 5)


@pytest.mark.parametrize(
    ("attributes", "privileged"),
    [
        ({"MemberOf": ["CN=Domain Admins,CN=Users,DC=corp,DC=example"]}, True),
        ({"MemberOf": ["CN=Staff,DC=corp,DC=example"]}, False),
        ({"MemberOf": [], "primaryGroupID": 512}, True),
        ({"MemberOf": [], "primaryGroupID": 512, "PrimaryGroup": "CN=Domänen-Admins,DC=corp,DC=example"}, True),
        ({"MemberOf": [], "adminCount": 1}, True),
        ({"MemberOf": ["CN=Tier0,DC=corp,DC=example"]}, True),
        ({"MemberOf": [], "SID": "S-1-5-21-1-2-3-500"}, True),
        ({"MemberOf": None, "primaryGroupID": None}, False),
    ],
)
def test_who_is_privileged(tmp_path: Path, attributes: dict[str, Any], privileged: bool) -> None:
    found = read_json(tmp_path, {**ALICE, **attributes}, privileged_groups=["tier0"])
    assert found.payload()["is_privileged"] is privileged


def test_what_the_export_does_not_hold_is_not_said(tmp_path: Path) -> None:
    given = {name: value for name, value in ALICE.items() if name not in ("MemberOf", "primaryGroupID")}
    assert "is_privileged" not in read_json(tmp_path, given).payload()


def test_groups_of_the_export_tell_nesting_and_names_in_other_languages(tmp_path: Path) -> None:
    inner = "CN=IT,DC=corp,DC=example"
    admins = "CN=Domänen-Admins,CN=Users,DC=corp,DC=example"
    groups = [
        {
            "ObjectClass": "group",
            "DistinguishedName": inner,
            "Name": "IT",
            "MemberOf": [admins],
            "SID": "S-1-5-21-1-2-3-9",
        },
        {"ObjectClass": "group", "DistinguishedName": admins, "Name": "Domänen-Admins", "SID": "S-1-5-21-1-2-3-512"},
    ]
    found = read_json(tmp_path, {**ALICE, "MemberOf": [inner]}, *groups)
    assert (True, ["IT", "Domänen-Admins", "Domain Users"]) == (
        found.payload()["is_privileged"],
        found.payload()["groups"],
    )
    assert found.skipped == {"group": 2}


@pytest.mark.parametrize(
    ("attributes", "status"),
    [
        ({"Enabled": False}, "disabled"),
        ({"Enabled": None, "userAccountControl": 514}, "disabled"),
        ({"LockedOut": True}, "locked"),
        ({"Enabled": None, "userAccountControl": 66048}, "active"),
        ({"isDeleted": True, "whenChanged": "20260301120000.0Z"}, "deleted"),
    ],
)
def test_status(tmp_path: Path, attributes: dict[str, Any], status: str) -> None:
    found = read_json(tmp_path, {**ALICE, **attributes})
    assert found.payload()["status"] == status
    assert (found.entries[0].valid_to == datetime(2026, 3, 1, 12)) is (status == "deleted")


def test_service_accounts_and_expiry(tmp_path: Path) -> None:
    managed = {**ALICE, "ObjectClass": "msDS-GroupManagedServiceAccount", "employeeType": None, "SamAccountName": "g$"}
    named = {**ALICE, "SamAccountName": "svc-backup", "employeeType": None, "accountExpires": "133017504000000000"}
    found = read_json(tmp_path, managed, named, service_accounts=["SVC-*"])
    assert ["service account"] * 2 == [found.payload(at)["employment_type"] for at in (0, 1)]
    assert found.payload(1)["left_at"] == datetime(2022, 7, 8, 10, 40)


def test_a_computer_is_an_asset(tmp_path: Path) -> None:
    computer = {
        "ObjectClass": "computer",
        "SamAccountName": "PCI-DB-1$",
        "Name": "PCI-DB-1",
        "DNSHostName": "PCI-DB-1.corp.example",
        "SID": "S-1-5-21-1-2-3-2001",
        "IPv4Address": "10.1.0.7",
        "Description": "PCI database server",
        "OperatingSystem": "Windows Server 2022",
        "ManagedBy": "CN=DBA,DC=corp,DC=example",
        "userAccountControl": 0x81000,
        "primaryGroupID": 515,
    }
    assert read_json(tmp_path, computer, table="assets").payload() == {
        "uid": "S-1-5-21-1-2-3-2001",
        "name": "PCI-DB-1",
        "hostnames": ["pci-db-1.corp.example", "pci-db-1"],
        "addresses": ["10.1.0.7"],
        "type": "server",
        "role": "PCI database server",
        "os": "Windows Server 2022",
        "owner": "DBA",
        "status": "active",
        "tags": ["trusted-for-delegation"],
    }


# --- shapes ------------------------------------------------------------------------------------------------------


def test_ldif_csvde_and_powershell_csv_say_the_same(tmp_path: Path) -> None:
    dn = "CN=Arno\\, Alice,OU=Staff,DC=corp,DC=example"
    group = "CN=Domain Admins,CN=Users,DC=corp,DC=example"
    ldif = (
        f"dn: CN=Arno\\, Alice,OU=Staff,\n DC=corp,DC=example\nchangetype: add\nobjectClass: top\nobjectClass: user\n"
        f"sAMAccountName: alice\nobjectSid:: {base64.b64encode(binary_sid(SID)).decode()}\n"
        f"displayName:: {base64.b64encode('Alice Ärno'.encode()).decode()}\nuserAccountControl: 512\n"
        f"whenCreated: 20240102030405.0Z\nmemberOf: {group}\nmemberOf: CN=Staff,DC=corp,DC=example\n\n"
        "dn: CN=Staff,DC=corp,DC=example\nobjectClass: group\nsAMAccountName: Staff\n"
    )
    staff = "CN=Staff,DC=corp,DC=example"
    csvde = (
        "DN,objectClass,sAMAccountName,objectSid,displayName,userAccountControl,whenCreated,memberOf\n"
        f'"{dn}",user,alice,X\'{binary_sid(SID).hex()}\',Alice Ärno,512,20240102030405.0Z,"{group};{staff}"\n'
    )
    powershell = (
        "#TYPE Selected.Microsoft.ActiveDirectory.Management.ADUser\n"
        '"DistinguishedName","ObjectClass","SamAccountName","SID","DisplayName","Enabled","whenCreated","MemberOf"\n'
        f'"{dn}","user","alice","{SID}","Alice Ärno","True","02.01.2024 03:04:05","{group}|{staff}"\n'
    )
    wanted = read_text(tmp_path, "active_directory", "identities", ldif)
    assert (SID, "Alice Ärno", True) == (
        wanted.entries[0].entry,
        wanted.payload()["full_name"],
        wanted.payload()["is_privileged"],
    )
    assert (datetime(2024, 1, 2, 3, 4, 5), {"group": 1}) == (wanted.entries[0].valid_from, wanted.skipped)
    formats = {"time_formats": ["%d.%m.%Y %H:%M:%S"]}
    for text in (csvde, powershell):
        assert wanted.entries == read_text(tmp_path, "active_directory", "identities", text, **formats).entries


def test_an_array_and_a_time_that_cannot_be_read(tmp_path: Path) -> None:
    text = json.dumps([ALICE, {**ALICE, "whenCreated": "1/2/2024 3:04:05 AM"}])
    found = read_text(tmp_path, "active_directory", "identities", text.encode("utf-16"))
    assert [True, False] == [entry.valid_from is not None for entry in found.entries]
    assert found.skipped == {"unreadable whencreated": 1}


@pytest.mark.parametrize("text", ['{"a": 1}', "a,b\n1,2\n", "", "dn: CN=x\ncn: x\n"])
def test_what_is_no_export_is_told(tmp_path: Path, text: str) -> None:
    if text.startswith("dn:"):
        assert len(read_text(tmp_path, "active_directory", "identities", text).entries) == 1
        return
    with pytest.raises(FormatError, match=r"no export of a directory|the export is empty"):
        read_text(tmp_path, "active_directory", "identities", text)


def test_an_odd_object_is_rejected_alone(tmp_path: Path) -> None:
    ldif = "dn: CN=a,DC=x\nsAMAccountName: a\n\ndn: CN=b,DC=x\nobjectSid:: AAAA\n\ndn: CN=c,DC=x\nphoto:< file:///x\n"
    found = read_text(tmp_path, "active_directory", "identities", ldif)
    assert ["CN=a,DC=x"] == [entry.entry for entry in found.entries]
    assert ["objectsid: no binary SID", "not LDIF: 'photo:< file:///x'"] == found.reasons
