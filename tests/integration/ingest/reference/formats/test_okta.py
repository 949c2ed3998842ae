"""Okta's users become identities with their groups, or nothing does."""

from datetime import datetime
from typing import Any

import pytest

from ingest.reference.formats import FormatError, Source, checked_options
from ingest.reference.formats.okta import read
from ingest.transports.fetch_errors import AccessDenied, ExpiredCredentials, MissingCredentials, Unreachable
from tests.simulators.lookups_api import Fault
from tests.simulators.okta_directory import OktaDirectory
from tests.unit.ingest.reference.formats.reading import passing_clock, read_feed


def user(number: int, status: str = "ACTIVE", **profile: Any) -> dict[str, Any]:
    names = {"login": f"user{number}@example.com", "email": f"User{number}@example.com"}
    return {
        "id": f"00u{number}",
        "status": status,
        "created": "2024-01-02T03:04:05.000Z",
        "statusChanged": "2026-02-01T00:00:00.000Z",
        "profile": names | profile,
    }


def group(uid: str, name: str, type: str = "OKTA_GROUP") -> dict[str, Any]:
    return {"id": uid, "type": type, "profile": {"name": name}}


ALICE = user(
    1, firstName="Alice", lastName="Arno", title="Controller", department="Finance", manager="Bo", userType="Employee"
)
ORG = OktaDirectory(
    [ALICE, user(2), user(3, "SUSPENDED"), user(4, "DEPROVISIONED")],
    [group("00g1", "Finance"), group("00g2", "Org Admins"), group("00g3", "Everyone", "BUILT_IN")],
    {"00g1": ["00u1", "00u2", "00u4"], "00g2": ["00u2"], "00g3": ["00u1"]},
    page=2,
)


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_OKTA_TOKEN", "a-token")


def test_every_user_of_every_page_comes_with_groups_status_and_privileges() -> None:
    with ORG:
        found = read_feed("okta", "identities", base_url=ORG.url, privileged_groups=["* admins"])
    assert ["00u1", "00u2", "00u3", "00u4"] == [entry.entry for entry in found.entries]
    assert found.payload(0) == {
        "uid": "00u1",
        "username": "user1@example.com",
        "full_name": "Alice Arno",
        "emails": ["user1@example.com"],
        "uids": ["00u1"],
        "usernames": ["user1"],
        "domain": "example.com",
        "title": "Controller",
        "department": "Finance",
        "manager": "Bo",
        "employment_type": "Employee",
        "is_privileged": False,
        "groups": ["Finance"],
        "status": "active",
    }
    assert found.entries[0].valid_from == datetime(2024, 1, 2, 3, 4, 5)
    assert (found.payload(1)["is_privileged"], found.payload(1)["groups"]) == (True, ["Finance", "Org Admins"])
    assert found.payload(2)["status"] == "suspended"
    assert (found.payload(3)["status"], found.payload(3)["left_at"]) == ("deprovisioned", datetime(2026, 2, 1))
    assert found.skipped == {"group": 1}


def test_administrators_are_privileged_on_whatever_page_they_are() -> None:
    with OktaDirectory([user(n) for n in range(4)], admins=["00u0", "00u9", "00u3"], page=2) as org:
        found = read_feed("okta", "identities", base_url=org.url)
    assert ["00u0", "00u3"] == [entry.entry for entry in found.entries if entry.payload["is_privileged"]]


def test_a_token_that_may_not_read_roles_is_told_what_to_do() -> None:
    with OktaDirectory([user(1)], admins=["00u1"]) as org:
        org.inject(
            Fault("error", "/iam/", times=None, status=403, body='{"errorCode": "E0000006", "errorSummary": "no"}')
        )
        with pytest.raises(AccessDenied, match="or set `admins: false`"):
            read_feed("okta", "identities", base_url=org.url)
        assert read_feed("okta", "identities", base_url=org.url, admins=False).payload()["is_privileged"] is False


def test_only_wanted_and_privileged_groups_are_asked_for_their_members() -> None:
    with ORG:
        ORG.requests.clear()
        found = read_feed("okta", "identities", base_url=ORG.url, groups=["None of these"], privileged_groups=["Org*"])
    asked = [request.path for request in ORG.requests if request.path.endswith("/users") and "/groups/" in request.path]
    assert ["/api/v1/groups/00g2/users"] == asked
    assert found.payload(0).get("groups") is None


def test_the_rate_limit_is_waited_for_and_nobody_is_lost() -> None:
    waits: list[float] = []
    clock = passing_clock(waits)
    with OktaDirectory([user(n) for n in range(20)], page=2, rate_limit=5, clock=clock.now) as org:
        options = checked_options("okta", "identities", {"base_url": org.url, "budget_share": 1.0})
        found = list(read(Source("identities"), options, clock))
    assert len(found) == 20
    assert waits


def test_a_429_and_a_broken_connection_are_tried_again() -> None:
    waits: list[float] = []
    with OktaDirectory([user(n) for n in range(5)], page=2) as org:
        org.inject(Fault("error", "/users", status=429, body="{}", headers={"X-Rate-Limit-Reset": "1772000030"}))
        org.inject(Fault("reset", "/users"))
        options = checked_options("okta", "identities", {"base_url": org.url})
        found = list(read(Source("identities"), options, passing_clock(waits)))
    assert len(found) == 5
    assert len(waits) >= 2


def test_a_server_that_stays_down_gives_no_user_at_all() -> None:
    with OktaDirectory([user(n) for n in range(5)], page=2) as org:
        org.inject(Fault("error", "after=", times=None, status=503, body="{}"))
        options = checked_options("okta", "identities", {"base_url": org.url, "max_attempts": 2})
        with pytest.raises(Unreachable):
            next(read(Source("identities"), options, passing_clock([])))


def test_a_refused_token_is_named_by_its_variable_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    with ORG:
        monkeypatch.setenv("HEADWATER_OKTA_TOKEN", "wr0ng-t0ken")
        with pytest.raises(ExpiredCredentials, match="HEADWATER_OKTA_TOKEN") as refused:
            read_feed("okta", "identities", base_url=ORG.url)
        assert "wr0ng-t0ken" not in str(refused.value)
        monkeypatch.delenv("HEADWATER_OKTA_TOKEN")
        with pytest.raises(MissingCredentials):
            read_feed("okta", "identities", base_url=ORG.url)


def test_a_user_without_profile_is_rejected_alone() -> None:
    with OktaDirectory([user(1), {"id": "00u2", "status": "ACTIVE"}]) as org:
        found = read_feed("okta", "identities", base_url=org.url)
    assert (["00u1"], ["a user without id or profile"]) == ([entry.entry for entry in found.entries], found.reasons)


@pytest.mark.parametrize("url", ["http://example.okta.com", "https://u:p@example.okta.com", "example.okta.com"])
def test_a_token_is_sent_nowhere_in_clear(url: str) -> None:
    with pytest.raises(FormatError, match="base_url"):
        checked_options("okta", "identities", {"base_url": url})
