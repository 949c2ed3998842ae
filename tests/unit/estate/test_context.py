"""What the company knows has a history, and `truth.json` says what must come of it."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import maxminddb
import pytest

from ingest.reference.tables import PAYLOADS
from orchestration.demo.estate import Arguments, generate

from .conftest import SMALL
from .readback import KEYS, READERS, defect


def _snapshots(estate: Path, folder: str, feed: str) -> dict[str, list[dict[str, str]]]:
    """Rows by the time in the name of the file."""
    found = {}
    for path in sorted((estate / "reference" / folder).glob(f"{feed}-*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            found[path.stem.rpartition("-")[2]] = list(csv.DictReader(file))
    return found


def _records(estate: Path) -> dict[str, dict[str, Any]]:
    """Every keyed record by its `metadata.uid`."""
    return {
        "|".join(str(record.get(name)) for name in KEYS[source]).lower(): record
        for source in READERS
        for record in READERS[source](estate)
        if defect(source, record) is None
    }


def _moment(stamp: str) -> str:
    """`20260302T072954Z` as the truth writes times, without fractions."""
    return f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:8]}T{stamp[9:11]}:{stamp[11:13]}:{stamp[13:15]}"


@pytest.mark.parametrize(("folder", "least"), [("assets", 3), ("identities", 2)])
def test_snapshots_have_the_columns_of_their_table_and_nobody_twice(folder: str, least: int, estate: Path) -> None:
    snapshots = _snapshots(estate, folder, folder)

    assert len(snapshots) >= least
    for rows in snapshots.values():
        assert set(rows[0]) == set(PAYLOADS[folder])
        for column in ("uid", *(["username"] if folder == "identities" else ["name"])):
            assert max(Counter(row[column] for row in rows).values()) == 1
        addresses = Counter(a for row in rows for a in row.get("addresses", "").split(";") if a)
        assert not addresses or max(addresses.values()) == 1


def test_the_hostile_address_is_listed_ten_minutes_before_the_server_logon_and_never_before(
    estate: Path, truth: dict[str, Any]
) -> None:
    listed = [
        stamp
        for stamp, rows in _snapshots(estate, "intel", "threatdesk").items()
        if truth["hostile_address"] in {row["value"] for row in rows}
    ]
    [logon] = [event["at"] for event in truth["incident"]["events"] if event["step"] == "network_logon"]

    assert _moment(listed[0]) == "2026-03-02T07:29:54"
    assert logon == "2026-03-02T07:39:54.000Z"
    assert len(_snapshots(estate, "intel", "threatdesk")) > len(listed)


def test_the_leased_address_has_the_holder_that_the_inventory_of_that_time_names(
    estate: Path, truth: dict[str, Any]
) -> None:
    records, inventories = _records(estate), _snapshots(estate, "assets", "assets")
    at = {event["key"].lower(): event["at"] for event in truth["routine"]["events"]}
    holders = []
    for uid, told in truth["context"]["assets"].items():
        newest = max(stamp for stamp in inventories if _moment(stamp) <= at[uid])
        holder = [row["name"] for row in inventories[newest] if told["address"] in row["addresses"].split(";")]
        assert records[uid]["IpAddress"] == told["address"]
        assert holder == [told["asset"]] * (told["asset"] is not None)
        holders.append(told["asset"])
    assert len(set(holders)) == 3


def test_the_directory_of_that_time_says_who_somebody_was(estate: Path, truth: dict[str, Any]) -> None:
    directories = _snapshots(estate, "identities", "identities")
    at = {event["key"].lower(): event["at"] for event in truth["routine"]["events"]}
    for uid, told in truth["context"]["identities"].items():
        newest = max(stamp for stamp in directories if _moment(stamp) <= at[uid])
        found = [row for row in directories[newest] if row["username"] == told["username"]]
        expected = {"department": told["department"], "status": told["status"]}
        assert [{name: row[name] for name in expected} for row in found] == [expected] * (told["status"] is not None)


def test_retro_matches_are_the_events_that_hold_the_indicator(estate: Path, truth: dict[str, Any]) -> None:
    records = _records(estate)
    told = {match["indicator"]: match for match in truth["retro"]}
    address = truth["hostile_address"]
    holding = {uid for uid, record in records.items() if address in json.dumps(record)}

    assert told[address]["events"] == len(holding)
    assert {event["uid"] for event in told[address]["found_later"]} <= holding
    assert told[address]["known_at_the_time"] == sum(
        event["at"] >= "2026-03-02T07:29:54" for event in truth["incident"]["events"] if event["key"].lower() in holding
    )
    for match in truth["retro"][1:3]:
        for event in match["found_later"]:
            assert match["indicator"].lower() in json.dumps(records[event["uid"]]).lower()
            assert event["at"] < match["learned_at"]


def test_the_passed_hash_is_ntlm_without_a_session_key_by_an_account_that_no_directory_has(
    estate: Path, truth: dict[str, Any]
) -> None:
    records = _records(estate)
    story = truth["pass_the_hash"]
    logons = [records[event["key"].lower()] for event in story["events"] if event["step"] == "network_logon"]
    people = {row["username"] for rows in _snapshots(estate, "identities", "identities").values() for row in rows}

    assert [logon["KeyLength"] for logon in logons] == ["0", "0", "0"]
    assert {logon["IpAddress"] for logon in logons} == {story["address"]}
    assert story["user"] not in people
    assert sorted(logon["Hostname"].partition(".")[0] for logon in logons) == sorted(
        truth["signals"]["lateral_movement"]["incidents"][1]["assets"]
    )


def test_who_lives_abroad_never_signs_in_at_the_office(estate: Path) -> None:
    places: dict[str, set[str]] = {}
    for record in READERS["okta_system_log"](estate):
        if defect("okta_system_log", record) is None and record["outcome"]["result"] == "SUCCESS":
            where = record["client"]["geographicalContext"]["city"]
            places.setdefault(record["actor"]["alternateId"].partition("@")[0], set()).add(where)
    abroad = {user for user, cities in places.items() if {"Dublin", "Lisbon"} <= cities}

    assert abroad == {"lucia.ferrante"}  # who travels, and has the time to


def test_databases_of_anonymous_addresses_and_providers_know_the_hostile_network(
    estate: Path, truth: dict[str, Any]
) -> None:
    with (
        maxminddb.open_database(estate / "reference/geoip-anonymous-ip.mmdb") as anonymous,
        maxminddb.open_database(estate / "reference/geoip-isp.mmdb") as isp,
    ):
        flags = {"is_anonymous": True, "is_anonymous_vpn": True, "is_hosting_provider": True}
        assert anonymous.get(truth["hostile_address"]) == flags
        assert anonymous.get("198.51.100.7") is None
        assert isp.get(truth["hostile_address"])["isp"] == "Bulletgrove Hosting"


def test_a_short_estate_tells_the_same_stories(tmp_path: Path) -> None:
    short = generate(tmp_path, Arguments(seed=SMALL.seed, events=3000, hours=4))

    assert len(short["routine"]["events"]) > 30
    assert [match["known_at_the_time"] > 0 for match in short["retro"]] == [True, False, False, True]
    assert [len(match["found_later"]) > 0 for match in short["retro"]] == [True, True, True, False]
