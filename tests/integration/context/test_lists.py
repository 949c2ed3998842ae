"""Lists, places and observables: what is found holds at the event's time, and stands where OCSF wants it."""

from datetime import datetime

from tests.integration.context.context_events import events, facts, geoip, indicator, of, reference

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
