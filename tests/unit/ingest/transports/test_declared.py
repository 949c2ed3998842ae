"""What a contract may declare of an API, each way tried on a small server of that kind."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jwt
import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from ingest.contracts import ContractError, contract_of
from ingest.contracts.api import ApiDeclaration, read_api
from ingest.contracts.fields import Place
from ingest.transports.api_pages import opened, records_of
from ingest.transports.authorization import Secret, Signature, assertion
from ingest.transports.declared import DeclaredApi
from ingest.transports.fetch_errors import MissingCredentials, UnexpectedAnswer, WindowNotSettled
from lake.base.http import Answer, Clock, HttpClient

HOUR = datetime(2026, 11, 20, 5, tzinfo=UTC)
START = int(HOUR.timestamp())
CLOCK = Clock(lambda: START + 10 * 3600.0, lambda seconds: None)
BASE: dict[str, Any] = {
    "base_url": "https://api.example.com",
    "path": "/events",
    "params": {"from": "{from}", "until": "{until}", "limit": "{limit}"},
    "auth": {"kind": "token", "secret": "SOME_TOKEN"},
    "time": {"format": "epoch_seconds"},
    "paging": {"kind": "none"},
    "records": "data.items",
    "limit": 3,
}
Server = Callable[[dict[str, str], dict[str, Any]], tuple[dict[str, str], Any]]


def events(count: int, step: int = 60) -> list[dict[str, Any]]:
    return [{"id": number, "at": START + number * step} for number in range(count)]


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Fetches HOUR of what a declaration says from a server that gets query and body, and gives headers and a page."""
    monkeypatch.setenv("SOME_TOKEN", "s3cr3t")

    def run(declared: dict[str, Any], server: Server, hour: datetime = HOUR, **settings: Any) -> Any:
        asked: list[dict[str, Any]] = []

        def exchange(self: HttpClient, method: str, url: str, **request: Any) -> Answer:
            query, body = dict(parse_qsl(urlsplit(url).query)), request.get("json") or {}
            asked.append({**query, **body})
            headers, page = server(query, body)
            text = json.dumps(page).encode()
            return Answer(
                200, requests.structures.CaseInsensitiveDict({"Content-Length": str(len(text)), **headers}), text
            )

        monkeypatch.setattr(HttpClient, "exchange", exchange)
        declaration = ApiDeclaration.model_validate({**BASE, **declared})
        api = DeclaredApi(replace(contract_of("okta_system_log"), api=declaration))
        found = api.fetch(api.Place(**settings), hour, tmp_path / "spool", CLOCK)
        ids = [record["id"] for each in found.objects for record in json.loads(each.open().read())]
        return found, ids, asked

    return run


def within(query: dict[str, str], known: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each for each in known if int(query["from"]) <= each["at"] < int(query["until"])]


def page(items: list[Any], **more: Any) -> dict[str, Any]:
    return {"data": {"items": items, **more}}


@pytest.mark.parametrize("count", [0, 1, 3, 7])
@pytest.mark.parametrize("kind", ["offset", "page", "cursor", "time", "header", "next_url"])
def test_every_way_to_page_gives_each_event_once(fetched, kind: str, count: int) -> None:
    known = events(count)

    def server(query: dict[str, str], _: Any) -> tuple[dict[str, str], Any]:
        found = within(query, known)
        begin = {"offset": int(query.get("at", 0)), "page": 3 * (int(query.get("at", 1)) - 1), "time": 0}.get(
            kind, int(query.get("at", 0))
        )
        here, following = found[begin : begin + 3], str(begin + 3) if begin + 3 < len(found) else ""
        more: dict[str, Any] = {"next": following} if kind == "cursor" else {}
        link = f"https://api.example.com/events?from={query['from']}&until={query['until']}&at={following}"
        headers = {"X-Next": link} if kind == "header" and following else {}
        return headers, page(here, **more, **({"link": link} if kind == "next_url" and following else {}))

    paging = {
        "offset": {"param": "at"},
        "page": {"param": "at", "first": 1},
        "cursor": {"param": "at", "at": "data.next"},
        "time": {"at": "at"},
        "header": {"at": "X-Next"},
        "next_url": {"at": "data.link"},
    }[kind]
    declared = {"paging": {"kind": kind, **paging}}
    _, ids, asked = fetched(declared, server)
    assert sorted(set(ids)) == [*range(count)]
    assert kind == "time" or len(ids) == count, "only a time that is asked for again brings its events again"
    assert len(asked) <= count // 2 + 2


def test_content_without_an_id_is_told_apart_by_where_it_is(fetched) -> None:
    listed = [{"uri": f"https://api.example.com/blob?of={number}"} for number in (1, 2)]

    def server(query: dict[str, str], _: Any) -> tuple[dict[str, str], Any]:
        return {}, [{"id": int(query["of"])}] if "of" in query else page([*listed, listed[0]])

    _, ids, _ = fetched({"blobs": {"uri": "uri", "id": "contentId"}}, server)
    assert [1, 2] == ids


def test_a_cursor_is_posted_alone_until_there_are_no_more(fetched) -> None:
    def server(_: Any, body: dict[str, Any]) -> tuple[dict[str, str], Any]:
        at = int(body.get("cursor", "0"))
        assert set(body) == ({"cursor"} if at else {"limit", "start_time"})
        return {}, {"items": events(5)[at : at + 3], "cursor": str(at + 3), "has_more": at + 3 < 5}

    declared = {
        "method": "POST",
        "params": {},
        "body": {"limit": "{limit}", "start_time": "{from}"},
        "records": "items",
    }
    paging = {"kind": "cursor", "at": "cursor", "param": "cursor", "more": "has_more", "alone": True}
    _, ids, asked = fetched({**declared, "paging": paging}, server)
    assert [*range(5)] == ids and 3 == asked[0]["limit"] and str(START) == asked[0]["start_time"]


def test_a_window_that_the_vendor_cuts_is_asked_for_in_halves(fetched) -> None:
    known = [*events(40), {"id": 40, "at": START + 3599}]

    def server(query: dict[str, str], _: Any) -> tuple[dict[str, str], Any]:
        return {}, page(within(query, known)[:5])

    found, ids, _ = fetched({"split_at": 5}, server)
    assert [*range(41)] == sorted(ids) and found.lost == []


def test_an_instant_with_more_than_the_vendor_gives_is_lost_and_told(fetched) -> None:
    known = [{"id": number, "at": START + 7} for number in range(9)]

    def server(query: dict[str, str], _: Any) -> tuple[dict[str, str], Any]:
        return {}, page(within(query, known)[:5])

    found, ids, _ = fetched({"split_at": 5}, server)
    assert [*range(5)] == ids
    assert [("page_limit", 1, HOUR + timedelta(seconds=7))] == [
        (each.status, each.seconds, datetime.fromisoformat(each.first)) for each in found.lost
    ]
    with pytest.raises(UnexpectedAnswer, match="one instant has more than 2 events"):
        by_time = {"paging": {"kind": "time", "at": "at"}}
        fetched(by_time, lambda query, _: ({}, page(within(query, known)[:2])), limit=2)


@pytest.mark.parametrize(
    ("time", "first", "last"),
    [
        ({"format": "epoch_seconds"}, str(START), str(START + 3600)),
        ({"format": "epoch_seconds", "ends": "inclusive"}, str(START), str(START + 3599)),
        ({"format": "epoch_millis", "starts": "exclusive"}, f"{START - 1}999", f"{START + 3600}000"),
        ({"format": "rfc3339"}, "2026-11-20T05:00:00Z", "2026-11-20T06:00:00Z"),
        ({"format": "rfc3339_millis", "ends": "inclusive"}, "2026-11-20T05:00:00.000Z", "2026-11-20T05:59:59.999Z"),
        ({"format": "utc_seconds"}, "2026-11-20T05:00:00", "2026-11-20T06:00:00"),
    ],
)
def test_times_are_written_as_the_filter_takes_them(fetched, time, first: str, last: str) -> None:
    _, _, (asked,) = fetched({"time": time}, lambda query, body: ({}, page([])))
    assert (first, last) == (asked["from"], asked["until"])


def test_the_overlap_begins_a_window_earlier(fetched) -> None:
    _, _, (asked,) = fetched({}, lambda query, body: ({}, page([])), overlap_seconds=600)
    assert str(START - 600) == asked["from"]


def test_a_server_whose_clock_is_before_the_end_of_the_hour_is_not_believed(fetched) -> None:
    """Our own clock is hours ahead: what the vendor has by now would be taken for all of the hour."""
    for seconds, settled in ((3600 + 298, False), (3600 + 300, True)):
        headers = {"Date": formatdate(START + seconds, usegmt=True)}
        if settled:
            assert [0] == fetched({}, lambda query, body, headers=headers: (headers, page(events(1))))[1]
        else:
            with pytest.raises(WindowNotSettled, match="server's clock is"):
                fetched({}, lambda query, body, headers=headers: (headers, page(events(1))))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"paging": {"kind": "cursor", "at": "x"}}, "api.paging: cursor needs param"),
        ({"paging": {"kind": "pages"}}, "api.paging.kind: Input should be"),
        ({"auth": {"kind": "oauth", "secret": "S"}}, "api.auth.token_url: Field required"),
        ({"auth": {"kind": "magic"}}, "api.auth: Input tag 'magic'"),
        (
            {"params": {"from": "{form}"}},
            "params.from: {form} is neither a setting nor one of from, until, stream",
        ),
        ({"params": {"until": "{until}"}}, "{from} stands nowhere"),
        ({"params": {"from": "{from}", "s": "{stream}"}}, "params.s: {stream} needs streams"),
        ({"params": {"from": "{from"}}, "is no template"),
        ({"settle": "5 parsecs"}, "api.settle: expected a unit of s, m"),
        ({"settings": {"limit": {"description": "x"}}}, "settings: limit is a setting of every API"),
        ({"pagging": {}}, "api.pagging: Extra inputs are not permitted"),
    ],
)
def test_a_wrong_declaration_names_file_and_key(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ContractError) as caught:
        read_api({**BASE, **wrong}, Place(Path("x/contract.yaml"), "api"))
    assert said in str(caught.value) and str(caught.value).startswith("x/contract.yaml: api")


def test_a_setting_that_does_not_fit_says_what_is_expected() -> None:
    place = DeclaredApi(contract_of("github_audit")).Place
    with pytest.raises(ValueError, match="expected orgs/<name> or enterprises/<name>, found 'acme'"):
        place(account="acme")
    assert "orgs/acme" == place(account="orgs/acme").given["account"]


def test_a_secret_is_read_from_a_file_each_time_and_never_shown(tmp_path: Path) -> None:
    secret = Secret(str(tmp_path / "token"), "file", "the token")
    with pytest.raises(MissingCredentials, match="cannot be read: No such file"):
        secret.read()
    (tmp_path / "token").write_text("one\n")
    assert ("one", "a *** b") == (secret.read(), secret.hide("a one b")) and secret.is_there
    (tmp_path / "token").write_text("two\n")
    assert "two" == secret.read() and "two" not in repr(secret)


def test_a_secret_of_aws_may_be_one_key_of_many(monkeypatch: pytest.MonkeyPatch) -> None:
    class Manager:
        def get_secret_value(self, SecretId: str) -> dict[str, str]:
            return {"okta": {"SecretString": '{"token": "s3cr3t"}'}}[SecretId]

    monkeypatch.setattr("lake.storage.aws.client", lambda access, service: Manager())
    assert "s3cr3t" == Secret("okta#token", "aws").read()
    with pytest.raises(MissingCredentials, match=r"AWS secret okta#other cannot be read \(KeyError\)"):
        Secret("okta#other", "aws").read()


def test_a_service_account_signs_who_it_acts_as() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    account = json.dumps({"client_email": "x@y", "private_key": pem, "private_key_id": "k1"})
    signed = assertion(account, {"sub": "admin@example.com"}, "https://t.example/token", "RS256", START, "S")
    claims = jwt.decode(
        signed, key.public_key(), ["RS256"], audience="https://t.example/token", options={"verify_exp": False}
    )
    assert {"iss": "x@y", "sub": "admin@example.com", "iat": START, "exp": START + 3600}.items() <= claims.items()
    with pytest.raises(MissingCredentials, match="S holds no private key") as caught:
        assertion("-----BEGIN s3cr3t", {}, "", "RS256", START, "S")
    assert "s3cr3t" not in str(caught.value)


def test_a_signature_is_that_of_duos_documentation(monkeypatch: pytest.MonkeyPatch) -> None:
    """The canonical request of duo.com/docs/adminapi#authentication: date, method, host, path, sorted parameters."""
    import hashlib
    import hmac

    monkeypatch.setenv("SKEY", "Zh5eGmUq9zpfQnyUIu5OL9iWoMMv5ZNmk3zLJ4Ep")
    at = datetime(2012, 8, 21, 17, 29, 18, tzinfo=UTC).timestamp()
    signing = Signature(Secret("SKEY"), "DIWJ8X6AEYOR5OMC6TQ1", "sha1", ("date", "method", "host", "path", "params"),
                        Clock(lambda: at))  # fmt: skip
    url = "https://api-xxxxxxxx.duosecurity.com/accounts/v1/account/list?username=root&realname=First+Last"
    request = signing(requests.Request("GET", url).prepare())
    canonical = "\n".join(
        (
            "Tue, 21 Aug 2012 17:29:18 -0000",
            "GET",
            "api-xxxxxxxx.duosecurity.com",
            "/accounts/v1/account/list",
            "realname=First%20Last&username=root",
        )
    )
    digest = hmac.new(b"Zh5eGmUq9zpfQnyUIu5OL9iWoMMv5ZNmk3zLJ4Ep", canonical.encode(), hashlib.sha1).hexdigest()
    expected = requests.auth._basic_auth_str("DIWJ8X6AEYOR5OMC6TQ1", digest)
    assert (expected, "Tue, 21 Aug 2012 17:29:18 -0000") == (request.headers["Authorization"], request.headers["Date"])


@pytest.mark.parametrize(
    ("body", "given"),
    [
        ('{"data": {"items": [{"a": 1}, 2]}}', '[{"a": 1}, 2]'),
        ('{"data": {"items": null}}', "[]"),
        ('{"data": null}', "[]"),
        ("{}", "[]"),
        ('{"data": [1]}', '{"data": [1]}'),  # no such page: landing says so of the whole
        ('{"data": ', '{"data": '),
    ],
)
def test_a_page_gives_its_list_or_itself(tmp_path: Path, body: str, given: str) -> None:
    (tmp_path / "page.json").write_text(body)
    assert given == opened(tmp_path / "page.json", "data.items").read().decode()
    assert len(records_of(body.encode(), "data.items")) == (2 if "1}, 2" in given else 0)
