"""Machines and accounts of events: what is found holds at the event's time, and is never guessed."""

from datetime import datetime

import pytest

from tests.integration.context.context_events import (
    ACCOUNT_NAMES,
    ADA,
    BOB,
    DB1,
    WEB,
    events,
    facts,
    named,
    of,
    reference,
)

# --- machines ------------------------------------------------------------------------------------------------------


def test_an_address_that_changes_its_owner_is_another_machine_before_and_after() -> None:
    turn = datetime(2026, 3, 1, 10, 30)
    con = reference(
        assets=[DB1, WEB],
        asset_names=[*named("DB1", "ip", "10.0.0.5", valid_to=turn), *named("WEB", "ip", "10.0.0.5", valid_from=turn)],
    )
    sql = "{'ip': '10.0.0.5'} as src_endpoint"
    times = ("2026-03-01 09:00", "2026-03-01 10:29:59.999", "2026-03-01 10:30", "2026-03-01 10:31", "2026-03-02 00:00")
    found = events(con, "authentication", [(at, sql) for at in times])
    assert [facts(each, "src_endpoint", "asset", "uid") for each in found] == [["i-1"]] * 2 + [["i-2"]] * 3
    assert [each["src_endpoint"]["hostname"] for each in found] == ["db1.larkspur.example"] * 2 + [
        "web.larkspur.example"
    ] * 3


def test_a_machine_is_told_where_the_log_is_silent_and_only_there() -> None:
    con = reference(assets=[DB1, WEB], asset_names=[*named("DB1", "ip", "10.0.0.5"), *named("WEB", "hostname", "web")])
    silent, told, strange = events(
        con,
        "authentication",
        [
            ("2026-03-01 10:00", "{'ip': '10.0.0.5', 'port': 1} as src_endpoint"),
            (
                "2026-03-01 10:00",
                "{'ip': '10.0.0.5', 'hostname': 'x', 'name': 'y', 'type_id': 3, 'type': 'Laptop'} as src_endpoint",
            ),
            ("2026-03-01 10:00", "{'hostname': 'WEB.'} as src_endpoint"),
        ],
    )
    assert silent["src_endpoint"] == {
        "ip": "10.0.0.5",
        "port": 1,
        "hostname": "db1.larkspur.example",
        "name": "db1",
        "type": "Server",
        "type_id": 1,
        "owner": {"name": "ann"},
    }
    own = {"ip": "10.0.0.5", "hostname": "x", "name": "y", "type": "Laptop", "type_id": 3}
    assert told["src_endpoint"] == own | {"owner": {"name": "ann"}}
    assert strange["src_endpoint"] == {"hostname": "WEB.", "name": "web", "type": "mainframe", "type_id": 99}
    assert of(silent, "src_endpoint", "asset") == [
        {
            "name": "src_endpoint",
            "type": "asset",
            "value": "10.0.0.5",
            "provider": "Provider A",
            "created_time": 1767225600000,
            "data": {
                "uid": "i-1",
                "name": "db1",
                "type": "Server",
                "owner": "ann",
                "feed": "a",
                "version": "1",
                "valid_from": "1970-01-01T00:00:00Z",
                "learned_at": "2026-01-01T00:00:00Z",
            },
        }
    ]


def test_a_short_host_name_is_a_machine_when_only_one_has_it_and_a_foreign_domain_is_none() -> None:
    names = [
        *named("DB1", "hostname", "db1.larkspur.example", rank=2),
        *named("DB1", "short_hostname", "db1", rank=3),
        *named("WEB", "hostname", "web.larkspur.example", rank=2),
        *named("WEB", "short_hostname", "web", rank=3),
        *named("DB1", "short_hostname", "web", rank=3),
        *named("WEB", "hostname", "plain", rank=2),
    ]
    con = reference(assets=[DB1, WEB], asset_names=names)
    texts = ("db1.larkspur.example", "DB1", "web", "db1.elsewhere.example", "plain.larkspur.example", "nobody")
    found = events(
        con, "authentication", [("2026-03-01 10:00", f"{{'hostname': '{each}'}} as dst_endpoint") for each in texts]
    )
    uids = [facts(each, "dst_endpoint", "asset", "uid") for each in found]
    assert uids == [["i-1"], ["i-1"], [], [], ["i-2"], []]


def test_of_a_peer_the_address_counts_first_of_a_log_s_own_host_its_name_and_a_network_last() -> None:
    names = [
        *named("DB1", "ip", "10.0.0.5"),
        *named("WEB", "hostname", "web"),
        *named("WEB", "ip", "10.0.0.0/8"),
        *named("DB1", "ip", "10.1.0.0/16"),
    ]
    con = reference(assets=[DB1, WEB], asset_names=names)
    both = (
        "{{'ip': '{0}', 'hostname': '{1}'}} as src_endpoint, {{'ip': '{0}', 'hostname': '{1}', 'type_id': 0}} as device"
    )
    asked = [("10.0.0.5", "web"), ("10.2.2.2", "nobody"), ("10.1.2.3", "nobody"), ("10.1.2.3", "web")]
    found = events(con, "authentication", [("2026-03-01 10:00", both.format(*each)) for each in asked])
    assert [facts(each, "src_endpoint", "asset", "uid") for each in found] == [["i-1"], ["i-2"], ["i-1"], ["i-2"]]
    assert [facts(each, "device", "asset", "uid") for each in found] == [["i-2"], ["i-2"], ["i-1"], ["i-2"]]


# --- accounts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("account", "uids"),
    [
        ("{'uid': 'S-1-5-21-7', 'name': 'bob'}", ["S-1-5-21-7"]),
        ("{'uid': 'unknown', 'uid_alt': '00u7'}", ["S-1-5-21-7"]),
        ("{'uid': 'unknown', 'email_addr': 'ADA@Larkspur.example'}", ["S-1-5-21-7"]),
        ("{'name': 'ada@larkspur.example'}", ["S-1-5-21-7"]),
        ("{'name': 'Ada', 'domain': 'LARKSPUR'}", ["S-1-5-21-7"]),
        ("{'name': 'LARKSPUR\\ada'}", ["S-1-5-21-7"]),
        ("{'name': 'bob', 'domain': 'larkspur.example'}", ["S-1-5-21-8"]),
        ("{'name': 'ada'}", ["S-1-5-21-7"]),
        ("{'name': 'bob', 'domain': 'WS1'}", []),  # an account of the machine WS1, whoever it is
        ("{'name': 'sam'}", []),  # two accounts have this name
        ("{'name': 'nobody'}", []),
    ],
)
def test_an_account_is_found_by_its_surest_name_and_never_guessed(account: str, uids: list[str]) -> None:
    con = reference(identities=[ADA, BOB], identity_names=ACCOUNT_NAMES)
    (event,) = events(
        con, "authentication", [("2026-03-01 10:00", f"{account} as user, {{'user': {account}}} as actor")]
    )
    assert facts(event, "user", "identity", "uid") == uids
    assert facts(event, "actor.user", "identity", "uid") == uids


def test_what_the_directory_says_stands_in_the_account() -> None:
    con = reference(identities=[ADA, BOB], identity_names=ACCOUNT_NAMES)
    ada, bob = events(
        con,
        "authentication",
        [
            ("2026-03-01 10:00", "{'uid': 'S-1-5-21-7', 'type_id': 0, 'type': 'Unknown', 'groups': null} as user"),
            ("2026-03-01 10:00", "{'uid': 'S-1-5-21-8', 'full_name': 'Robert', 'groups': [{'name': 'Own'}]} as user"),
        ],
    )
    assert ada["user"] == {
        "uid": "S-1-5-21-7",
        "type": "User",
        "type_id": 1,
        "full_name": "Ada Lovelace",
        "email_addr": "ada@larkspur.example",
        "groups": [{"name": "Everybody"}],
        "ldap_person": {
            "employee_uid": "S-1-5-21-7",
            "department": "Finance",
            "job_title": "Controller",
            "manager": {"name": "Bob"},
        },
    }
    assert (bob["user"]["full_name"], bob["user"]["groups"], bob["user"]["type"]) == (
        "Robert",
        [{"name": "Own"}],
        "Admin",
    )


def test_an_account_is_what_it_was_at_the_event_s_time() -> None:
    turn = datetime(2026, 3, 1, 10, 30)
    con = reference(
        identities=[ADA | {"valid_to": turn}, ADA | {"department": "Sales", "valid_from": turn, "version": "2"}],
        identity_names=[*named("ADA", "name", "ada", valid_to=turn), *named("ADA", "name", "ada", valid_from=turn)],
    )
    found = events(
        con, "authentication", [(f"2026-03-01 10:{each}", "{'name': 'ada'} as user") for each in (29, 30, 31)]
    )
    assert [each["user"]["ldap_person"]["department"] for each in found] == ["Finance", "Sales", "Sales"]
    assert [facts(each, "user", "identity", "version") for each in found] == [["1"], ["2"], ["2"]]


def test_of_two_feeds_the_first_in_order_wins_unless_it_is_not_sure() -> None:
    hr = {"feed": "hr", "feed_rank": 1}
    con = reference(
        identities=[ADA | {"feed": "ad", "feed_rank": 2}, ADA | hr | {"title": "HR says"}, BOB | hr],
        identity_names=[
            *named("ADA", "name", "ada", feed="ad", feed_rank=2),
            *named("ADA", "name", "ada", **hr),
            *named("ADA", "name", "sam", feed="ad", feed_rank=2),
            *named("ADA", "name", "sam", **hr),
            *named("BOB", "name", "sam", **hr),
        ],
    )
    found = events(
        con, "authentication", [("2026-03-01 10:00", f"{{'name': '{each}'}} as user") for each in ("ada", "sam")]
    )
    assert [facts(each, "user", "identity", "feed") for each in found] == [["hr"], ["ad"]]
