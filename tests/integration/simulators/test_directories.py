"""The simulated directories and the TAXII server refuse and page as the real ones say they do."""

import pytest
import requests

from tests.simulators.graph import CLIENT, TENANT, GraphSimulator
from tests.simulators.okta_directory import OktaDirectory
from tests.simulators.taxii import COLLECTION, MEDIA_TYPE, TaxiiSimulator

USERS = [{"id": f"00u{n}", "status": "DEPROVISIONED" if n == 3 else "ACTIVE", "profile": {}} for n in range(4)]
OKTA = {"Authorization": "SSWS a-token"}


def test_okta_leaves_deprovisioned_users_out_and_links_to_itself_and_on() -> None:
    with OktaDirectory(USERS, page=2) as org:
        first = requests.get(f"{org.url}/api/v1/users", headers=OKTA, params={"limit": 2}, timeout=5)
        last = requests.get(first.links["next"]["url"], headers=OKTA, timeout=5)
        gone = {"filter": 'status eq "DEPROVISIONED"'}
        filtered = requests.get(f"{org.url}/api/v1/users", headers=OKTA, params=gone, timeout=5)
    assert [["00u0", "00u1"], ["00u2"], ["00u3"]] == [[u["id"] for u in a.json()] for a in (first, last, filtered)]
    assert ({"self", "next"}, {"self"}) == (set(first.links), set(last.links))


@pytest.mark.parametrize(
    ("path", "headers", "status", "code"),
    [
        ("/api/v1/users", {}, 401, "E0000011"),
        ("/api/v1/users?filter=name", OKTA, 400, "E0000031"),
        ("/api/v1/groups/none/users", OKTA, 404, "E0000007"),
    ],
)
def test_okta_refuses_with_its_error_objects(path: str, headers: dict[str, str], status: int, code: str) -> None:
    with OktaDirectory(USERS) as org:
        answer = requests.get(org.url + path, headers=headers, timeout=5)
    assert (status, code) == (answer.status_code, answer.json()["errorCode"])


def test_okta_s_limit_answers_429_with_its_headers() -> None:
    with OktaDirectory(USERS, rate_limit=1) as org:
        answers = [requests.get(f"{org.url}/api/v1/groups", headers=OKTA, timeout=5) for _ in range(2)]
    assert [200, 429] == [answer.status_code for answer in answers]
    assert "0" == answers[1].headers["X-Rate-Limit-Remaining"]


def token(graph: GraphSimulator, secret: str = "a-secret") -> requests.Response:
    form = {"client_id": CLIENT, "client_secret": secret, "grant_type": "client_credentials"}
    scope = {"scope": f"{graph.url}/.default"}
    return requests.post(f"{graph.url}/{TENANT}/oauth2/v2.0/token", data=form | scope, timeout=5)


def test_graph_pages_by_next_link_and_gives_what_was_selected() -> None:
    with GraphSimulator([{"id": str(n), "displayName": str(n), "city": "x"} for n in range(150)]) as graph:
        given = {"Authorization": f"Bearer {token(graph).json()['access_token']}"}
        query = {"$select": "id", "$expand": "manager($select=id)", "$top": "999"}
        first = requests.get(f"{graph.url}/v1.0/users", headers=given, params=query, timeout=5).json()
        last = requests.get(first["@odata.nextLink"], headers=given, timeout=5).json()
        odd = requests.get(f"{graph.url}/v1.0/directoryRoles?$top=9", headers=given, timeout=5)
    assert (100, 50, False) == (len(first["value"]), len(last["value"]), "@odata.nextLink" in last)  # $expand: 100
    assert ({"id"}, 400) == (set(first["value"][0]), odd.status_code)


def test_graph_takes_only_the_newest_token_and_the_right_secret() -> None:
    with GraphSimulator([]) as graph:
        assert 401 == token(graph, "wrong").status_code
        old = token(graph).json()["access_token"]
        assert token(graph).ok
        refused = requests.get(f"{graph.url}/v1.0/users", headers={"Authorization": f"Bearer {old}"}, timeout=5)
    assert (401, "InvalidAuthenticationToken") == (refused.status_code, refused.json()["error"]["code"])


def test_taxii_pages_names_dates_and_refuses_other_media_types() -> None:
    added = [(f"2026-02-0{day}T00:00:00.000000Z", {"id": str(day)}) for day in range(1, 4)]
    place = f"/intel/collections/{COLLECTION}/objects/"
    with TaxiiSimulator(added, page=2) as server:

        def ask(query: str = "", accept: str = MEDIA_TYPE) -> requests.Response:
            auth = ("reader", "a-password")
            return requests.get(server.url + place + query, headers={"Accept": accept}, auth=auth, timeout=5)

        first, last, after = ask(), ask("?next=2"), ask(f"?added_after={added[2][0]}")
        assert 406 == ask(accept="application/json").status_code
        assert 401 == requests.get(server.url + place, headers={"Accept": MEDIA_TYPE}, timeout=5).status_code
    assert (True, "2") == (first.json()["more"], first.json()["next"])
    assert ([{"id": "3"}], False) == (last.json()["objects"], last.json().get("more", False))
    assert {} == after.json()
    assert (added[0][0], added[1][0]) == (
        first.headers["X-TAXII-Date-Added-First"],
        first.headers["X-TAXII-Date-Added-Last"],
    )
