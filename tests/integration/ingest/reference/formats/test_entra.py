"""Entra's users become identities, its devices assets, or nothing does."""

from datetime import datetime
from typing import Any

import pytest

from ingest.reference.formats import Source, checked_options
from ingest.reference.formats.entra import read
from ingest.transports.fetch_errors import ExpiredCredentials, RateLimited, UnexpectedAnswer
from tests.simulators.graph import CLIENT, TENANT, GraphSimulator
from tests.simulators.lookups_api import Fault
from tests.unit.ingest.reference.formats.reading import Found, passing_clock, read_feed

GROUP, ROLE = "00000000-0000-0000-0000-0000000000aa", "00000000-0000-0000-0000-0000000000bb"


def guid(number: int) -> str:
    return f"00000000-0000-0000-0000-{number:012d}"


def user(number: int, **more: Any) -> dict[str, Any]:
    name = {"id": guid(number), "userPrincipalName": f"user{number}@example.com", "displayName": f"User {number}"}
    return name | {"accountEnabled": True, "createdDateTime": "2024-01-02T03:04:05Z"} | more


ALICE = user(
    1,
    mail="Alice@example.com",
    proxyAddresses=["SMTP:alice@example.com", "smtp:a@example.net", "x500:/o=Example"],
    jobTitle="Controller",
    department="Finance",
    officeLocation="Bern",
    employeeId="4711",
    employeeType="Employee",
    employeeHireDate="2024-01-01T00:00:00Z",
    onPremisesSamAccountName="alice",
    onPremisesDomainName="corp.example.com",
    onPremisesSecurityIdentifier="S-1-5-21-1-2-3-1104",
    manager={"displayName": "Bo Berg", "userPrincipalName": "bo@example.com"},
)


def tenant(**more: Any) -> GraphSimulator:
    return GraphSimulator(
        [ALICE, user(2, userType="Guest"), user(3, accountEnabled=False)],
        groups=[{"id": GROUP, "displayName": "Finance"}],
        members={GROUP: [guid(1), guid(2)]},
        roles=[{"id": ROLE, "displayName": "Global Administrator"}],
        role_members={ROLE: [guid(2)]},
        **{"page": 2, **more},
    )


def found_in(graph: GraphSimulator, table: str = "identities", **options: Any) -> Found:
    given = {"tenant": TENANT, "client_id": CLIENT, "base_url": graph.url, "login_url": graph.url, **options}
    return read_feed("entra", table, **given)


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_ENTRA_CLIENT_SECRET", "a-secret")


def test_every_user_of_every_page_comes_with_groups_roles_and_manager() -> None:
    with tenant() as graph:
        found = found_in(graph)
    assert [guid(1), guid(2), guid(3)] == [entry.entry for entry in found.entries]
    assert found.payload(0) == {
        "uid": guid(1),
        "username": "user1@example.com",
        "full_name": "User 1",
        "emails": ["alice@example.com", "a@example.net"],
        "uids": [guid(1), "S-1-5-21-1-2-3-1104", "4711"],
        "usernames": ["alice", "CORP\\alice"],
        "domain": "corp.example.com",
        "title": "Controller",
        "department": "Finance",
        "manager": "Bo Berg",
        "employment_type": "Employee",
        "is_privileged": False,
        "groups": ["Finance"],
        "office": "Bern",
        "status": "active",
        "hired_at": datetime(2024, 1, 1),
    }
    assert found.payload(1)["groups"] == ["Finance", "role: Global Administrator"]
    assert (found.payload(1)["is_privileged"], found.payload(1)["employment_type"]) == (True, "guest")
    assert found.payload(2)["status"] == "disabled"


def test_devices_are_assets() -> None:
    device = {
        "id": guid(9),
        "deviceId": guid(8),
        "displayName": "LAPTOP-9",
        "operatingSystem": "Windows",
        "operatingSystemVersion": "10.0.22631",
        "accountEnabled": True,
        "isManaged": True,
        "trustType": "AzureAd",
        "registeredOwners": [{"displayName": "User 1", "userPrincipalName": "user1@example.com"}],
    }
    with tenant(devices=[device]) as graph:
        found = found_in(graph, "assets")
    assert found.payload() == {
        "uid": guid(8),
        "name": "LAPTOP-9",
        "hostnames": ["laptop-9"],
        "os": "Windows 10.0.22631",
        "owner": "user1@example.com",
        "status": "active",
        "tags": ["managed", "AzureAd"],
    }


def test_a_token_that_ends_on_the_way_is_asked_for_anew() -> None:
    with tenant(requests_a_token=3) as graph:
        found = found_in(graph)
    assert len(found.entries) == 3
    assert graph.tokens > 1


def test_a_token_is_not_used_until_its_very_end() -> None:
    waits: list[float] = []
    clock = passing_clock(waits)
    with tenant(expires_in=600) as graph:
        graph.inject(Fault("error", "/v1.0/users", status=429, body="{}", headers={"Retry-After": "301"}))
        given = {"tenant": TENANT, "client_id": CLIENT, "base_url": graph.url, "login_url": graph.url}
        options = checked_options("entra", "identities", given | {"max_wait_seconds": 900})
        assert len(list(read(Source("identities"), options, clock))) == 3
    assert (2, 301.0) == (graph.tokens, max(waits))


def test_a_wait_that_is_too_long_is_told_and_gives_nobody() -> None:
    with tenant() as graph:
        graph.inject(Fault("error", "/v1.0/users", times=None, status=429, body="{}", headers={"Retry-After": "4000"}))
        with pytest.raises(RateLimited, match="4000 s"):
            found_in(graph)


def test_a_next_link_to_another_server_gets_no_token() -> None:
    body = '{"value": [], "@odata.nextLink": "https://other.example/v1.0/users?$skiptoken=1"}'
    with tenant() as graph, pytest.raises(UnexpectedAnswer, match="leads to another server"):
        graph.inject(Fault("error", "/v1.0/users", status=200, body=body))
        found_in(graph)


def test_half_an_answer_and_a_proxy_s_page_are_asked_for_again() -> None:
    waits: list[float] = []
    with tenant() as graph:
        for kind in ("half", "garbage"):
            graph.inject(Fault(kind, "/v1.0/users"))
        given = {"tenant": TENANT, "client_id": CLIENT, "base_url": graph.url, "login_url": graph.url}
        options = checked_options("entra", "identities", given)
        assert len(list(read(Source("identities"), options, passing_clock(waits)))) == 3
    assert len(waits) == 2


def test_a_wrong_secret_is_named_by_its_variable_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_ENTRA_CLIENT_SECRET", "wr0ng")
    with tenant() as graph, pytest.raises(ExpiredCredentials, match="HEADWATER_ENTRA_CLIENT_SECRET") as refused:
        found_in(graph)
    assert "wr0ng" not in str(refused.value)
