"""Context of events: what is found holds at the event's time, stands where OCSF wants it, and changes no rows."""

import random
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.ocsf.keys import address_hexes
from tests.dbt.context_events import Row, events, geoip, indicator, named, reference, whole_sql
from tests.dbt.macros import render

DB1 = {
    "entry": "DB1",
    "uid": "i-1",
    "name": "db1",
    "hostnames": ["db1.larkspur.example"],
    "type": "Server",
    "owner": "ann",
}
WEB = {"entry": "WEB", "uid": "i-2", "name": "web", "hostnames": ["web.larkspur.example"], "type": "mainframe"}
ADA = {
    "entry": "ADA",
    "uid": "S-1-5-21-7",
    "username": "ada",
    "full_name": "Ada Lovelace",
    "emails": ["ada@larkspur.example"],
    "domain": "larkspur.example",
    "title": "Controller",
    "department": "Finance",
    "manager": "Bob",
    "groups": ["Everybody"],
    "is_privileged": False,
    "employment_type": "employee",
}
BOB = ADA | {"entry": "BOB", "uid": "S-1-5-21-8", "username": "bob", "full_name": "Bob", "is_privileged": True}


def of(event: dict[str, Any], name: str, type_: str) -> list[dict[str, Any]]:
    """The enrichments of an event with this name and type."""
    return [each for each in event.get("enrichments", ()) if (each["name"], each["type"]) == (name, type_)]


def facts(event: dict[str, Any], name: str, type_: str, field: str) -> list[Any]:
    return [each["data"].get(field) for each in of(event, name, type_)]


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

ACCOUNT_NAMES = [
    *named("ADA", "uid", "S-1-5-21-7", "00u7"),
    *named("ADA", "email", "ada@larkspur.example", rank=2),
    *named("ADA", "qualified_name", "LARKSPUR\\ada", rank=3),
    *named("ADA", "name", "ada", "sam", rank=4),
    *named("BOB", "uid", "S-1-5-21-8"),
    *named("BOB", "name", "bob", "sam", rank=4),
]


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


# --- lists ---------------------------------------------------------------------------------------------------------


def test_an_indicator_counts_from_when_it_was_learned_and_while_it_holds() -> None:
    learned, end = datetime(2026, 3, 1, 10, 20), datetime(2026, 3, 1, 12, 0)
    con = reference(indicators=[indicator("ip", "203.0.113.7", name="C2", learned_at=learned, valid_to=end)])
    times = ("10:00", "10:19:59", "10:20", "11:30", "11:59:59", "12:00")
    found = events(
        con, "authentication", [(f"2026-03-01 {at}", "{'ip': '203.0.113.7'} as src_endpoint") for at in times]
    )
    assert [len(of(each, "src_endpoint.ip", "threat_intelligence")) for each in found] == [0, 0, 1, 1, 1, 0]
    assert [each.get("osint", [{}])[0].get("name") for each in found] == [None, None, "C2", "C2", "C2", None]
    assert ["osint" in each["metadata"]["profiles"] for each in found] == [False, False, True, True, True, False]


def test_an_indicator_stands_in_osint_with_what_its_provider_says() -> None:
    more = {
        "uid": "u1",
        "name": "Bad",
        "description": "d",
        "category": "c2",
        "malware": "M",
        "threat_actor": "T",
        "confidence": 90,
        "severity": "High",
        "tlp": "amber+strict",
        "labels": ["x"],
        "src_url": "https://intel.example/1",
    }
    con = reference(indicators=[indicator("ip", "203.0.113.0/24", **more)])
    (event,) = events(con, "authentication", [("2026-03-01 10:00", "{'ip': '203.0.113.7'} as src_endpoint")])
    assert event["osint"] == [
        {
            "value": "203.0.113.0/24",
            "type": "IP Address",
            "type_id": 1,
            "uid": "u1",
            "name": "Bad",
            "desc": "d",
            "category": "c2",
            "vendor_name": "Provider A",
            "confidence": "90",
            "confidence_id": 3,
            "severity": "High",
            "severity_id": 4,
            "tlp": "AMBER STRICT",
            "labels": ["x"],
            "threat_actor": {"name": "T", "type_id": 0},
            "src_url": "https://intel.example/1",
            "created_time": 0,
            "uploaded_time": 1767225600000,
        }
    ]
    (found,) = of(event, "src_endpoint.ip", "threat_intelligence")
    assert found["data"]["indicator"] == "203.0.113.0/24"
    assert (found["value"], found["provider"], found["data"]["version"]) == ("203.0.113.7", "Provider A", "1")


def test_every_kind_of_observable_is_held_against_the_lists() -> None:
    md5 = "d41d8cd98f00b204e9800998ecf8427e"
    con = reference(
        indicators=[
            indicator("ip", "203.0.113.7"),
            indicator("ip", "2001:db8::/32"),
            indicator("domain", "bad.example"),
            indicator("domain", "xn--fa-hia.de"),
            indicator("hash", md5),
            indicator("email", "eve@bad.example"),
            indicator("url", "http://bad.example/a?b"),
        ],
    )
    rows = {
        "authentication": [
            "{'ip': '::ffff:203.0.113.7'} as src_endpoint",
            "{'ip': '2001:DB8::1%eth0'} as src_endpoint",
            "{'ip': '2002:cb00:7107::1'} as src_endpoint",  # 6to4 of 203.0.113.7 is an address of its own
            "{'ip': '10.0.0.1', 'intermediate_ips': ['10.0.0.2', '203.0.113.7']} as src_endpoint",
            "{'hostname': 'BAD.example.'} as src_endpoint",
            "{'hostname': 'faß.de'} as src_endpoint",
            "{'hostname': 'fass.de'} as src_endpoint",
            "{'uid': 'u', 'email_addr': 'Eve@bad.example'} as user",
            "{'url': {'url_string': 'HTTP://BAD.example/a?b'}} as http_request",
        ],
        "process_activity": [f"{{'file': {{'hashes': [{{'algorithm_id': 1, 'value': '{md5.upper()}'}}]}}}} as process"],
        "dns_activity": ["{'hostname': 'bad.example'} as query", "{'hostname': 'sub.bad.example'} as query"],
    }
    found = {
        name: [
            [(each["name"], each["value"]) for each in event.get("enrichments", ())]
            for event in events(con, name, [("2026-03-01 10:00", sql) for sql in selects], check=False)
        ]
        for name, selects in rows.items()
    }
    assert found == {
        "authentication": [
            [("src_endpoint.ip", "::ffff:203.0.113.7")],
            [("src_endpoint.ip", "2001:DB8::1%eth0")],
            [],
            [("src_endpoint.intermediate_ips[]", "203.0.113.7")],
            [("src_endpoint.hostname", "BAD.example.")],
            [("src_endpoint.hostname", "faß.de")],
            [],
            [("user.email_addr", "Eve@bad.example")],
            [("http_request.url.url_string", "HTTP://BAD.example/a?b")],
        ],
        "process_activity": [[("process.file.hashes[].value", md5.upper())]],
        "dns_activity": [[("query.hostname", "bad.example")], []],
    }


def test_a_warning_list_explains_networks_and_what_is_below_its_domains() -> None:
    cloud = {"category": "cloud", "learned_at": datetime(2027, 1, 1)}  # it explains also what happened before
    con = reference(
        warning_lists=[
            indicator("ip", "203.0.113.0/24", name="wide", **cloud),
            indicator("ip", "203.0.113.0/25", name="narrow", **cloud),
            indicator("domain", "example.com", name="parent", covers_subdomains=True, **cloud),
            indicator("domain", "only.example.com", name="itself", covers_subdomains=False, **cloud),
        ],
    )
    asked = [
        ("203.0.113.7", "x.only.example.com"),
        ("203.0.113.200", "only.example.com"),
        ("203.0.114.1", "example.com.org"),
    ]
    sql = "{{'ip': '{}', 'hostname': '{}'}} as dst_endpoint"
    found = events(con, "network_activity", [("2026-03-01 10:00", sql.format(*each)) for each in asked])
    names = [[(each["name"], each["data"]["name"]) for each in event.get("enrichments", ())] for event in found]
    ip, host = "dst_endpoint.ip", "dst_endpoint.hostname"
    assert [sorted(each) for each in names] == [
        [(host, "parent"), (ip, "narrow"), (ip, "wide")],
        [(host, "itself"), (host, "parent"), (ip, "wide")],
        [],
    ]
    assert all("osint" not in event for event in found)


# --- places --------------------------------------------------------------------------------------------------------


def test_a_place_is_filled_by_the_version_of_the_time_and_its_source_is_named() -> None:
    con = reference()
    geoip(
        con,
        "geoip_city",
        "81.2.69.0/24",
        {"city": "'Oxford'", "country_code": "'GB'"},
        "v1",
        valid_to=datetime(2026, 3, 1),
    )
    geoip(
        con,
        "geoip_city",
        "81.2.69.0/24",
        {"city": "'Leeds'", "country_code": "'GB'"},
        "v2",
        valid_from=datetime(2026, 3, 1),
    )
    geoip(con, "geoip_asn", "81.2.0.0/16", {"as_number": "7", "as_org": "'Carrier'"}, "a1")
    endpoint = "{'ip': '81.2.69.1', 'location': {'city': 'Own'}} as src_endpoint, {'ip': '81.2.69.9'} as dst_endpoint"
    before, after = events(con, "authentication", [(f"2026-0{at}", endpoint) for at in ("2-28 23:59", "3-01 00:00")])
    assert [each["dst_endpoint"]["location"]["city"] for each in (before, after)] == ["Oxford", "Leeds"]
    assert after["src_endpoint"]["location"] == {"city": "Own"}
    assert after["dst_endpoint"]["autonomous_system"] == {"number": 7, "name": "Carrier"}
    assert of(after, "dst_endpoint.ip", "location") == [
        {
            "name": "dst_endpoint.ip",
            "type": "location",
            "value": "81.2.69.9",
            "provider": "geoip_city",
            "created_time": 1767225600000,
            "data": {"version": "v2", "built_at": "2026-01-01T00:00:00Z"},
        }
    ]
    assert facts(before, "dst_endpoint.ip", "location", "version") == ["v1"]


# --- observables ---------------------------------------------------------------------------------------------------


def test_every_observable_has_an_entry_unless_the_mapping_gave_it() -> None:
    given_by_mapping = (
        "[{'name': 'src_endpoint.ip', 'type_id': 2, 'type': 'IP Address', 'value': '10.0.0.1'}] as observables"
    )
    endpoint = (
        "{'ip': '10.0.0.1', 'hostname': 'h', 'intermediate_ips': ['10.0.0.3', '10.0.0.2', '10.0.0.3']} as src_endpoint"
    )
    account = "{'name': 'ada', 'email_addr': 'ada@larkspur.example'} as user"
    given, none = events(
        reference(),
        "authentication",
        [
            ("2026-03-01 10:00", f"{endpoint}, {account}, {given_by_mapping}"),
            ("2026-03-01 10:00", "{'uid': 'u'} as user"),
        ],
    )
    found = [(each["name"], each["type_id"], each["value"]) for each in given["observables"]]
    assert found == [
        ("src_endpoint.ip", 2, "10.0.0.1"),
        ("user.name", 4, "ada"),
        ("user.email_addr", 5, "ada@larkspur.example"),
        ("src_endpoint.hostname", 1, "h"),
        ("src_endpoint.intermediate_ips[]", 2, "10.0.0.2"),
        ("src_endpoint.intermediate_ips[]", 2, "10.0.0.3"),
    ]
    assert "observables" not in none


# --- rows ----------------------------------------------------------------------------------------------------------

HOSTS, NAMES, ADDRESSES = ("web", "db1", "web.example"), ("ada", "sam"), ("10.0.0.1", "10.0.0.0/24", "10.0.0.0/8")
MOMENTS = st.sampled_from([datetime(2026, 3, 1, hour, minute) for hour in (9, 10, 11) for minute in (0, 30)])
SPANS = st.fixed_dictionaries(
    {"valid_from": MOMENTS, "valid_to": MOMENTS, "learned_at": MOMENTS, "feed": st.sampled_from("ab")}
)


def _hostile(keys: st.SearchStrategy[Row]) -> st.SearchStrategy[list[Row]]:
    rows = st.tuples(keys, SPANS).map(lambda pair: {**pair[0], **pair[1]})
    return st.lists(rows, max_size=12).map(lambda found: [*found, *found[:3]])


def _names(kind: str, texts: Iterable[str], entries: str) -> st.SearchStrategy[Row]:
    return st.tuples(st.sampled_from(entries), st.sampled_from(list(texts))).map(
        lambda pair: named(pair[0], kind, pair[1])[0]
    )


HOSTILE = st.fixed_dictionaries(
    {
        "assets": _hostile(
            st.builds(
                lambda entry, owner: {"entry": entry, "owner": owner}, st.sampled_from("AB"), st.sampled_from("xy")
            )
        ),
        "asset_names": _hostile(_names("hostname", HOSTS, "ABC") | _names("ip", ADDRESSES, "ABC")),
        "identities": _hostile(st.builds(lambda entry: {"entry": entry}, st.sampled_from("AB"))),
        "identity_names": _hostile(_names("name", NAMES, "ABC")),
        "indicators": _hostile(st.sampled_from(ADDRESSES).map(lambda text: indicator("ip", text))),
        "warning_lists": _hostile(
            st.sampled_from(["example", "web.example"]).map(
                lambda text: indicator("domain", text, covers_subdomains=True)
            )
        ),
    }
)
EVENT = """{'ip': '10.0.0.1', 'hostname': 'web.example'} as src_endpoint, {'hostname': 'db1'} as dst_endpoint,
    {'name': 'ada'} as user, {'user': {'name': 'sam'}} as actor"""
EVENTS = [(f"2026-03-01 {hour:02}:{minute:02}", EVENT) for hour in (9, 10, 11) for minute in (0, 15, 30, 45)]


@settings(max_examples=6, deadline=None)
@given(HOSTILE, st.integers())
def test_no_reference_table_changes_the_number_of_rows_nor_its_order_what_is_found(
    tables: dict[str, list[Row]], seed: int
) -> None:
    """Overlapping, repeated, ambiguous and empty times of validity; entities without names and names without any."""
    found = events(reference(**tables), "authentication", EVENTS)
    assert [each["metadata"]["uid"] for each in found] == [f"k{i}" for i in range(len(EVENTS))]
    mixed = {name: random.Random(seed).sample(rows, len(rows)) for name, rows in tables.items()}
    assert events(reference(**mixed), "authentication", EVENTS) == found


MAPPED = f"""select 1 as activity_id, {{'product': {{'name': 'p', 'vendor_name': 'v'}}}} as metadata, {EVENT},
    'k' as _event_key, timestamp '2026-03-01 10:00' as _event_at, timestamp '2026-03-01 10:00' as _arrived_at,
    'b' as _batch, 'o' as _source_object, 1 as _source_row from range(1000)"""


def test_events_that_are_the_same_stay_as_many_as_they_were() -> None:
    con = reference(indicators=[indicator("ip", "10.0.0.1"), indicator("ip", "10.0.0.0/8", feed="b")])
    rows = con.execute(
        f"select len(enrichments), count(*) from ({whole_sql(con, 'authentication', MAPPED)}) group by 1"
    )
    assert rows.fetchall() == [(2, 1000)]


def test_without_reference_tables_nothing_is_joined() -> None:
    sql = whole_sql(reference(), "authentication", MAPPED)
    assert " join " not in sql
    assert "reference." not in sql


# --- reading -------------------------------------------------------------------------------------------------------


def test_analysts_read_context_by_name_type_and_field() -> None:
    con = reference(
        assets=[DB1 | {"tags": ["pci", "prod"]}],
        asset_names=named("DB1", "hostname", "db1"),
        identities=[ADA],
        identity_names=ACCOUNT_NAMES,
    )
    events(
        con, "authentication", [("2026-03-01 10:00", "{'hostname': 'db1'} as dst_endpoint, {'name': 'ada'} as user")]
    )
    asked = {
        "department": render("enrichment", "user", "identity", "department"),
        "privileged": render("enrichment", "user", "identity", "is_privileged", "whole"),
        "value": render("enrichment", "dst_endpoint", "asset", "value"),
        "tags": render("enrichment_list", "dst_endpoint", "asset", "tags"),
        "none": render("enrichment", "src_endpoint", "asset", "uid"),
        "no_tags": render("enrichment_list", "src_endpoint", "asset", "tags"),
        "any": f"len({render('enrichments_of', '', 'asset')})",
    }
    row = con.execute(
        f"select {', '.join(f'{sql} as {name}' for name, sql in asked.items())} from main.whole"
    ).fetchone()
    assert dict(zip(asked, row or (), strict=True)) == {
        "department": "Finance",
        "privileged": "false",
        "value": "db1",
        "tags": ["pci", "prod"],
        "none": None,
        "no_tags": [],
        "any": 1,
    }


@settings(max_examples=20, deadline=None)
@given(st.lists(st.text(alphabet="012fF:.%ag", max_size=14), min_size=1, max_size=200))
def test_mappings_read_addresses_as_context_does(texts: list[str]) -> None:
    plain, mapped = ["1.2.3.4", "1:2:3:4:5:6:7:8", "1::", "::", "ABCD::1.2.3.4"], "::ffff:1.2.3.4"
    texts += [
        *plain,
        mapped,
        "1:2:3:4:5:6:1.2.3.4",
        "fe80::1%eth0",
        "1::2::3",
        "1:2:3:4:5:6:7::8",
        "::1.2.3.4.5",
        "1.2%0",
    ]
    hexes = address_hexes("(select unnest($1::varchar[]) as value)")
    sql = f"select value, hex, {render('ip_hex', 'value')}, {render('ip_or_null', 'value')} from ({hexes})"
    rows = duckdb.execute(sql, [texts]).fetchall()
    assert [(text, hex_, ip is None) for text, hex_, _, ip in rows] == [
        (text, hex_, hex_ is None) for text, _, hex_, _ in rows
    ]
    found = {text: ip for text, _, _, ip in rows}
    assert {text: found[text] for text in plain} == {text: text for text in plain}
    assert found[mapped] == "1.2.3.4" and found["fe80::1%eth0"] == "fe80::1"


def test_the_views_may_be_absent_altogether() -> None:
    con = duckdb.connect()
    (event,) = events(con, "authentication", [("2026-03-01 10:00", "{'name': 'ada'} as user")])
    assert "enrichments" not in event
