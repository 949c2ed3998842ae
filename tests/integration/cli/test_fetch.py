"""`headwater fetch` lands hours of an API; what failed, what the vendor lost and what came late is told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyarrow.parquet import read_table

from ingest.contracts import contract_of
from orchestration.demo.simulators.audit_apis.server import AuditApis
from orchestration.demo.simulators.audit_apis.world import Event, World
from orchestration.settings import load_settings
from orchestration.steps.collect import late_objects
from tests.integration.lakes import headwater

HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=5)
NAME = f"{HOUR:%Y-%m-%dT%H}"


def event(uid: str, minutes: int, stream: str = "") -> Event:
    at = int((HOUR + timedelta(minutes=minutes)).timestamp() * 1000)
    return Event(at, uid, 0, at, stream)


@pytest.fixture
def api() -> Iterator[AuditApis]:
    world = World([event("a", 0), event("b", 59), event("c", 61), event("d", 119)], timedelta(days=3650))
    with AuditApis(world) as server:
        yield server


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def write(**sources: Any) -> None:
        (tmp_path / "headwater.yml").write_text(yaml.safe_dump({"lake": "lake", "sources": sources}))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADWATER_SLACK_TOKEN", "s3cr3t")
    return write


def landed(found: Any) -> list[int]:
    return [each["landed"] for each in found.json["receipts"]]


def test_hours_land_and_the_next_call_takes_those_that_are_due(api: AuditApis, configured) -> None:
    configured(slack_audit={"base_url": api.url, "limit": 1})
    found = headwater(
        "fetch", "slack_audit", "--from", NAME, "--to", f"{HOUR + timedelta(hours=1):%Y-%m-%dT%H}", "--json"
    )
    assert (0, [2, 2]) == (found.code, landed(found))
    later = headwater("fetch", "slack_audit", "--json")  # up to the newest settled hour
    assert 0 == later.code and set(landed(later)) == {0} and len(landed(later)) >= 2
    assert "no hour is due" in headwater("fetch", "slack_audit").out


def test_a_tenant_that_fails_stops_no_other_and_is_asked_again(api: AuditApis, configured) -> None:
    silent = AuditApis(api.world).start()
    silent.stop()
    tenants = {"main": {"base_url": api.url}, "labs": {"base_url": silent.url}}
    configured(slack_audit={"max_attempts": 1, "tenants": tenants})
    found = headwater("fetch", "slack_audit", "--from", NAME, "--to", NAME, "--json")
    assert 1 == found.code and [2] == landed(found)
    assert "has landed without 1 of its streams or tenants" in found.json["failed"][NAME]
    sheet = headwater("balance")
    assert "objects could not be read and are in no batch" in sheet.out, sheet.out
    with silent:
        again = headwater("fetch", "slack_audit", "--json")
    assert NAME.replace("-", "") in {each["batch"] for each in again.json["receipts"]}
    assert 4 in landed(again), "both tenants; what both have is one event, removed by its key"
    assert "could not be read" not in headwater("balance").out


def test_a_tenant_with_wrong_settings_stops_no_other(api: AuditApis, configured) -> None:
    tenants = {"main": {"base_url": api.url}, "labs": {"base_url": "http://labs.example.com"}}
    configured(slack_audit={"tenants": tenants})
    found = headwater("fetch", "slack_audit", "--from", NAME, "--to", NAME, "--json")
    assert 1 == found.code and [2] == landed(found)
    why = "tenants.labs.base_url: expected https, found http to labs.example.com"
    assert why in found.json["failed"][NAME] and why in headwater("doctor").out
    configured(slack_audit={"tenants": {"labs": tenants["labs"]}})
    said = headwater("fetch", "slack_audit")
    assert 2 == said.code and "sources.slack_audit" in said.err and why in said.err


def test_an_hour_behind_the_retention_is_a_gap_in_the_balance(api: AuditApis, configured) -> None:
    api.world.events = []
    configured(slack_audit={"base_url": api.url, "retention_days": 0.1})
    assert 0 == headwater("fetch", "slack_audit", "--from", NAME, "--to", NAME).code
    said = headwater("balance").out
    assert "retention" in said and "1.0 h in all" in said


def test_content_that_a_vendor_lists_and_no_longer_has_is_a_gap(api: AuditApis, configured, monkeypatch) -> None:
    monkeypatch.setenv("HEADWATER_MICROSOFT_365_CLIENT_SECRET", "s3cr3t")
    stream = "Audit.General"
    api.world.events = [event("kept", 5, stream), event("gone", 25, stream)]
    api.expired.add(f"{stream}${api.world.events[1].shown // 600_000}")
    ids = {"tenant": "00000000-0000-0000-0000-00000000000a", "client_id": "c", "token_url": f"{api.url}/oauth/token"}
    configured(microsoft_365={"base_url": api.url, "streams": [stream], **ids})
    assert [1] == landed(headwater("fetch", "microsoft_365", "--from", NAME, "--to", NAME, "--json"))
    assert "expired" in headwater("balance").out


def test_what_came_late_is_told_with_what_to_set(api: AuditApis, configured) -> None:
    configured(slack_audit={"base_url": api.url})
    assert 0 == headwater("fetch", "slack_audit", "--from", NAME, "--to", NAME).code
    assert "no hour was asked for again yet" in headwater("lateness", "slack_audit").out
    api.world.events.append(event("late", 30))
    assert [3] == landed(headwater("fetch", "slack_audit", "--from", NAME, "--to", NAME, "--json"))
    found = headwater("lateness", "slack_audit", "--json").json
    assert (3, 1, 3) == (found["swept"], found["found_late"], found["events"])
    assert [1, 2] == sorted(events for _, _, events in found["cells"]) and found["p99"] > 2
    said = headwater("lateness", "slack_audit").out
    assert "1 of 3 records" in said and "settle_seconds to 600" in said


def test_what_a_vendor_no_longer_shows_stays_beside_what_it_shows_now(api: AuditApis, configured) -> None:
    configured(slack_audit={"base_url": api.url})
    assert [2] == landed(headwater("fetch", "slack_audit", "--from", NAME, "--to", NAME, "--json"))
    api.world.events = [event("b", 59), event("late", 30)]  # as many, and one of them another one
    found = headwater("fetch", "slack_audit", "--from", NAME, "--to", NAME, "--json")
    assert "1 of them are not among the 2 found now" in found.err, found.err
    assert [f"{NAME.replace('-', '')}-again"] == [each["batch"] for each in found.json["receipts"]]
    files = Path("lake/bronze/slack_audit").rglob("*.parquet")
    assert ["a", "b", "b", "late"] == sorted(
        key for file in files for key in read_table(file)["_event_key"].to_pylist()
    )
    due = HOUR + timedelta(hours=25)
    assert [*late_objects(load_settings(), contract_of("slack_audit"), due).hours] == [HOUR.replace(tzinfo=None)]
    api.world.events = []
    assert (
        "2 of them are not among the 0 found now" in headwater("fetch", "slack_audit", "--from", NAME, "--to", NAME).err
    )


def test_a_closed_hour_is_due_again_as_its_contract_asks(api: AuditApis, configured) -> None:
    configured(slack_audit={"base_url": api.url})
    assert 0 == headwater("fetch", "slack_audit", "--from", NAME, "--to", NAME).code
    end, naive = HOUR + timedelta(hours=1), HOUR.replace(tzinfo=None)
    due = {
        hours: late_objects(load_settings(), contract_of("slack_audit"), end + timedelta(hours=hours)).hours
        for hours in (23.9, 24, 90, 120)
    }
    assert {23.9: [], 24: [naive], 90: [naive], 120: []} == {hours: [*found] for hours, found in due.items()}


def test_a_source_that_is_not_configured_says_what_it_needs(configured) -> None:
    configured()
    found = headwater("fetch", "entra_sign_in")
    assert 2 == found.code and "tenant: <tenant id>, client_id: <application id>" in found.err
    told = {each["source"]: each["needs"] for each in headwater("sources", "--available", "--json").json}
    assert any("AuditLog.Read.All" in need for need in told["entra_sign_in"])
    assert "the user token (xoxp-…) of an owner of the organisation in HEADWATER_SLACK_TOKEN" in told["slack_audit"]
    assert [] == told["aws_cloudtrail"]
