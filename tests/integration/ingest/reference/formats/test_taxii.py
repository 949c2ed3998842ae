"""A TAXII collection is read to its last page, or nothing of it is."""

from datetime import datetime
from typing import Any

import pytest

from ingest.reference.formats import FormatError, checked_options
from ingest.transports.fetch_errors import (
    AccessDenied,
    ExpiredCredentials,
    RequestRefused,
    UnexpectedAnswer,
    Unreachable,
)
from tests.simulators.lookups_api import Fault
from tests.simulators.taxii import MEDIA_TYPE, TaxiiSimulator
from tests.unit.ingest.reference.formats.reading import Found, read_feed


def indicator(number: int) -> dict[str, Any]:
    at = f"2026-01-01T00:00:{number:02d}.000Z"
    return {
        "type": "indicator",
        "spec_version": "2.1",
        "id": f"indicator--{number}",
        "created": at,
        "modified": at,
        "pattern": f"[ipv4-addr:value = '192.0.2.{number}']",
        "pattern_type": "stix",
        "valid_from": at,
    }


ADDED = [(f"2026-02-0{day}T00:00:00.000000Z", indicator(day)) for day in range(1, 8)]
MALWARE: dict[str, Any] = {"type": "malware", "id": "malware--1", "name": "Emotet"}
INDICATES = {"type": "relationship", "id": "r", "source_ref": "indicator--1", "target_ref": "malware--1"}


def found_in(server: Any, since: datetime | None = None, **options: Any) -> Found:
    given = {"discovery_url": f"{server.url}/taxii2/", "collection": "indicators", "user": "reader"}
    patience = {"password_env": "TAXII_PASSWORD", "backoff_seconds": 0, "max_attempts": 2}
    return read_feed("taxii", "indicators", since=since, **{**given, **patience, **options})


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAXII_PASSWORD", "a-password")


@pytest.mark.parametrize("has_next", [True, False])
def test_pages_are_read_until_there_are_no_more(has_next: bool) -> None:
    with TaxiiSimulator(ADDED, page=3, has_next=has_next) as server:
        found = found_in(server)
    assert [("ip", f"192.0.2.{n}") for n in range(1, 8)] == list(dict.fromkeys(found.observables))
    assert 3 == sum(request.path.endswith("/objects/") for request in server.requests)


def test_what_relationships_say_is_found_whatever_page_it_is_on() -> None:
    late = "2026-02-09T00:00:00.000000Z"
    with TaxiiSimulator([*ADDED, (late, MALWARE), (late, INDICATES)], page=2) as server:
        found = found_in(server)
    assert found.of("indicator--1/ip:192.0.2.1").payload["malware"] == "Emotet"
    assert found.skipped == {"malware": 1, "relationship": 1}


def test_only_what_was_added_since_the_last_load_is_asked_for() -> None:
    with TaxiiSimulator(ADDED, page=2) as server:
        found = found_in(server, since=datetime(2026, 2, 5, 0, 30))
    assert [("ip", f"192.0.2.{n}") for n in (5, 6, 7)] == found.observables
    assert {"2026-02-04T23:30:00.000000Z"} == {
        request.query["added_after"] for request in server.requests if request.path.endswith("/objects/")
    }


def test_an_empty_collection_gives_nothing() -> None:
    with TaxiiSimulator([]) as server:
        assert found_in(server).entries == []


def test_a_busy_server_is_asked_again() -> None:
    with TaxiiSimulator(ADDED) as server:
        server.inject(Fault("error", "/objects/", status=429, headers={"Retry-After": "0"}))
        assert len(found_in(server).entries) == 7


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault("error", "/objects/", status=429, times=None, headers={"Retry-After": "0"}), Unreachable),
        (Fault("error", "/objects/", status=503, times=None), Unreachable),
        (Fault("reset", "next=", times=None), Unreachable),
        (Fault("error", "/objects/", status=403, times=None), AccessDenied),
        (Fault("garbage", "/objects/", times=None), UnexpectedAnswer),
    ],
)
def test_a_page_that_does_not_come_leaves_nothing(fault: Fault, expected: type[Exception]) -> None:
    with TaxiiSimulator(ADDED, page=3) as server, pytest.raises(expected):
        server.inject(fault)
        found_in(server)


def test_a_server_of_another_version_is_told() -> None:
    old = "application/vnd.oasis.taxii+json;version=2.0"
    with TaxiiSimulator(ADDED, media_type=old) as server, pytest.raises(RequestRefused, match="406"):
        found_in(server)


def test_a_refused_password_is_named_by_its_variable_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAXII_PASSWORD", "wr0ng")
    with TaxiiSimulator(ADDED) as server, pytest.raises(ExpiredCredentials, match="TAXII_PASSWORD") as refused:
        found_in(server)
    assert "wr0ng" not in str(refused.value)


def test_a_collection_that_is_not_there_or_not_readable_is_told() -> None:
    with TaxiiSimulator(ADDED) as server, pytest.raises(RequestRefused, match=r"'other' \(there: Indicators\)"):
        found_in(server, collection="other")
    with TaxiiSimulator(ADDED, can_read=False) as server, pytest.raises(AccessDenied):
        found_in(server)


def test_objects_that_were_added_at_once_are_not_lost_between_pages() -> None:
    at_once = [*ADDED[:3], (ADDED[2][0], indicator(4)), *ADDED[4:]]
    with TaxiiSimulator(at_once, page=3, has_next=False) as server:
        found = found_in(server)
    assert [("ip", f"192.0.2.{n}") for n in range(1, 8)] == list(dict.fromkeys(found.observables))


def test_a_server_that_leads_in_a_circle_is_not_followed() -> None:
    at_once = [(ADDED[0][0], indicator(number)) for number in range(1, 5)]
    with TaxiiSimulator(at_once, page=2, has_next=False) as server, pytest.raises(UnexpectedAnswer, match="nowhere"):
        found_in(server)


def test_a_root_on_another_server_gets_no_password() -> None:
    body = '{"title": "x", "api_roots": ["https://other.example/root/"]}'
    with TaxiiSimulator(ADDED) as server, pytest.raises(UnexpectedAnswer, match="credentials are not sent there"):
        server.inject(Fault("error", "/taxii2/", status=200, body=body, headers={"Content-Type": MEDIA_TYPE}))
        found_in(server)


def test_a_password_is_sent_nowhere_in_clear() -> None:
    with pytest.raises(FormatError, match="secrets would travel in clear"):
        checked_options("taxii", "indicators", {"discovery_url": "http://taxii.example.com/", "collection": "c"})
