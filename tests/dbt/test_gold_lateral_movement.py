"""The product lateral_movement over hand-made events: what is found, what is not, and that the score says why."""

import json
import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.dbt import golden
from tests.dbt import movements as made
from tests.dbt.gold_models import MARTS, Gold, at

SENTENCE = (
    "A finance controller's account that never touched production logged into a PCI database server"
    " from an address flagged ten minutes ago"
)
Row = dict[str, Any]
_GOLDEN = Path(__file__).parent / "golden/lateral_movement/incident.yml"


def _incident(who: str = "dana") -> dict[str, list[Row]]:
    """Hours of routine, then the way from a hostile address to the card data."""
    authentication = [
        made.logon("dana", "FS01", at(1)),
        made.logon("marcus", "PCIDB01", at(2)),
        made.sign_in(who, at(5)),
        *(made.sign_in(who, at(7, minute), made.HOSTILE, made.CHISINAU, denied=True) for minute in range(20, 25)),
        made.sign_in(who, at(7, 25), made.HOSTILE, made.CHISINAU),
        made.logon(who, "PCIDB01", at(7, 39), 3),
        made.logon(who, "PCIDB01", at(7, 40), 10),
    ]
    return {
        "authentication": authentication,
        "authorize_session": [made.privileges(who, "PCIDB01", at(7, 41))],
        "windows_service_activity": [made.service("PCIDB01", at(7, 42))],
        "process_activity": [made.powershell(who, "PCIDB01", at(7, 43)), made.lsass("PCIDB01", at(8, 5))],
        "registry_value_activity": [made.run_key(who, "PCIDB01", at(8, 10))],
    }


@pytest.fixture
def gold(tmp_path: Path) -> Gold:
    """No events yet; the hostile address was flagged ten minutes before the logon, after the sign-in."""
    held = Gold(tmp_path)
    held.indicator(made.HOSTILE, at(7, 29))
    return held


def factors(gold: Gold, who: str = "dana", host: str = "PCIDB01") -> dict[str, int]:
    """The factors of a candidate, with their weights."""
    found = gold.rows(
        "select factors from lateral_movement_candidates"
        f" where user_name = '{who}' and asset_name = '{host}' order by _event_at desc limit 1"
    )
    return {each["factor"]: each["weight"] for row in found for each in row["factors"]}


def signals(gold: Gold) -> list[Row]:
    """The findings, the most severe first."""
    return gold.rows("select * from lateral_movement order by risk_score desc")


def test_the_incident_is_critical_and_says_the_sentence(gold: Gold) -> None:
    gold.events(**_incident())
    gold.build()
    (found,) = signals(gold)
    assert 5 == found["severity_id"]
    assert (f"{SENTENCE}.", "The record of logons goes back six hours.") == (found["message"], found["comment"])
    assert f"{SENTENCE}." == json.loads(found["unmapped"])["sentence"]
    told = ("dana", "PCIDB01", "threatdesk", "five challenges", "Chisinau", "RemoteUtilsHost", "LSASS", "six hours")
    assert [] == [word for word in told if word not in found["finding_info"]["desc"]]


def test_the_finding_is_the_one_that_was_reviewed(gold: Gold, request: pytest.FixtureRequest) -> None:
    """The whole finding; `python -m tests.dbt.golden incident` writes the file anew: review its diff."""
    made.begin()
    gold.events(**_incident())
    gold.build()
    ((text,),) = gold.con.execute("select to_json(found)::varchar from lateral_movement as found").fetchall()
    found = {"class_uid": 2004} | json.loads(text) | {"unmapped": json.loads(signals(gold)[0]["unmapped"])}
    found["metadata"]["uid"] = found["finding_info"]["uid"]
    if request.config.getoption("--write-golden"):
        golden.write(_GOLDEN, [found])
    _, [expected] = golden.read(_GOLDEN)
    assert expected == golden.short(found)


def test_every_fact_of_the_incident_is_a_factor_and_the_score_is_their_sum(gold: Gold) -> None:
    gold.events(**_incident())
    gold.build()
    held = factors(gold)
    assert {
        "new_asset", "new_asset_tag", "new_country", "new_asn", "sensitive_asset", "hostile_address",
        "impossible_travel", "repeated_mfa_denials", "special_privileges", "service_created", "encoded_powershell",
        "lsass_access", "run_key",
    } == set(held)  # fmt: skip
    (found,) = signals(gold)
    shown = json.loads(found["unmapped"])["factors"]
    assert sum(held.values()) == sum(each["weight"] for each in shown) == found["risk_score"]
    assert set(held) == set(found["finding_info"]["types"])
    assert all(each["fact"] for each in shown)


def test_a_signal_names_the_events_that_it_rests_on_and_their_techniques(gold: Gold) -> None:
    story = _incident()
    gold.events(**story)
    gold.build()
    (found,) = signals(gold)
    routine = {event["metadata"]["uid"] for event in story["authentication"][:3]}
    planted = {event["metadata"]["uid"] for events in story.values() for event in events} - routine
    assert planted == {each["uid"] for each in found["finding_info"]["related_events"]}
    assert planted == {json.loads(each["data"])["uid"] for each in found["evidences"]}
    techniques = {each["sub_technique"]["uid"] or each["technique"]["uid"] for each in found["attacks"]}
    assert {
        "T1021.001",
        "T1021.002",
        "T1078",
        "T1543.003",
        "T1059.001",
        "T1003.001",
        "T1547.001",
        "T1621",
    } <= techniques


def test_the_same_way_of_the_expected_administrator_gives_nothing(gold: Gold) -> None:
    gold.events(**_incident("marcus"))
    gold.build()
    assert [] == signals(gold)
    assert {"expected_administrator", "hostile_address"} <= set(factors(gold, "marcus"))


def test_the_logon_alone_is_critical_without_anything_that_follows(gold: Gold) -> None:
    gold.events(authentication=_incident()["authentication"])
    gold.build()
    (found,) = signals(gold)
    assert (5, True) == (found["severity_id"], found["message"].startswith(SENTENCE))


@pytest.mark.parametrize(
    ("minute", "is_hostile"),
    [(39, True), (40, True), (41, False)],
    ids=["as of the first logon", "as of the second", "learned after both"],
)
def test_only_what_was_known_by_the_logon_counts(tmp_path: Path, minute: int, is_hostile: bool) -> None:
    gold = Gold(tmp_path)
    gold.indicator(made.HOSTILE, at(7, minute))
    gold.events(**_incident())
    gold.build()
    assert is_hostile == ("hostile_address" in factors(gold))


@pytest.mark.parametrize(
    "payload",
    [{"confidence": 20}, {"valid_to": at(7)}],
    ids=["a list that is hardly sure", "an entry that had ended"],
)
def test_an_entry_that_says_little_does_not_count(tmp_path: Path, payload: Row) -> None:
    gold = Gold(tmp_path)
    gold.indicator(made.HOSTILE, at(0), **payload)
    gold.events(**_incident())
    gold.build()
    assert "hostile_address" not in factors(gold)


def test_a_network_that_holds_the_address_counts(tmp_path: Path) -> None:
    gold = Gold(tmp_path)
    gold.indicator("192.0.2.128", at(0), prefix=96 + 26)
    gold.events(**_incident())
    gold.build()
    assert "hostile_address" not in factors(gold)
    gold.indicator("192.0.2.64", at(7, 29), prefix=96 + 26)
    gold.build()
    assert "hostile_address" in factors(gold)


def test_an_entry_is_known_since_it_was_listed_without_a_gap(tmp_path: Path) -> None:
    """A changed name makes another row of the list, not another flag; a time off the list does."""
    gold = Gold(tmp_path)
    gold.indicator(made.HOSTILE, at(1), valid_to=at(2))
    gold.indicator(made.HOSTILE, at(5, 39), valid_to=at(7, 20), name="Seen once")
    gold.indicator(made.HOSTILE, at(7, 20), name="Seen often")
    gold.events(**_incident())
    gold.build()
    (found,) = signals(gold)
    assert "flagged two hours ago" in found["message"] and "Seen often" in found["finding_info"]["desc"]


def test_an_address_of_a_known_network_is_neither_hostile_nor_a_place(gold: Gold) -> None:
    story = _incident()
    warning = {"name": "src_endpoint.ip", "type": "warning_list", "data": {"name": "VPN providers", "category": "vpn"}}
    for event in story["authentication"]:
        event["enrichments"] = [*event["enrichments"], warning]
    gold.events(**story)
    gold.build()
    assert not {"hostile_address", "new_country", "new_asn", "impossible_travel"} & set(factors(gold))


def test_ordinary_work_gives_nothing(gold: Gold) -> None:
    """First logons of everybody everywhere, privileged people on controllers, failures, and administrators at work."""
    gold.events(
        authentication=[
            made.sign_in("omar", at(1)),
            made.sign_in("omar", at(9), "198.18.5.1", made.CHISINAU),
            made.logon("omar", "DC01", at(9, 10)),
            made.logon("omar", "FS01", at(9, 20), 10),
            made.logon("dana", "FS01", at(9, 30)),
            made.logon("dana", "DC01", at(9, 40)),
            made.logon("dana", "PCIDB01", at(9, 50)) | {"status_id": 2},
            made.logon("PCIDB01$", "DC01", at(9, 55)),
            made.logon("marcus", "PCIDB01", at(10), 10),
        ],
        authorize_session=[made.privileges("omar", "FS01", at(9, 21)), made.privileges("marcus", "PCIDB01", at(10))],
        windows_service_activity=[made.service("PCIDB01", at(10, 5)), made.service("DC01", at(9, 45))],
        process_activity=[made.lsass("DC01", at(9, 41), access=0x1400)],
    )
    gold.build()
    assert [] == signals(gold)


def test_a_service_that_names_nobody_belongs_to_who_had_the_privileges(gold: Gold) -> None:
    """7045 does not say who installed it: only an account that was given special privileges there can have."""
    logons = [made.logon("dana", "FS01", at(9)), made.logon("omar", "FS01", at(9, 1))]
    gold.events(
        authentication=logons,
        authorize_session=[made.privileges("omar", "FS01", at(9, 1))],
        windows_service_activity=[made.service("FS01", at(9, 30)), made.service("FS01", at(9, 31), "Own", who="dana")],
    )
    gold.build()
    held = {who: factors(gold, who, "FS01") for who in ("dana", "omar")}
    facts = gold.rows("select user_name, services from lateral_movement_candidates order by user_name")
    assert [("dana", ["Own"]), ("omar", ["RemoteUtilsHost"])] == [
        (each["user_name"], each["services"]) for each in facts
    ]
    assert all("service_created" in each for each in held.values())


@pytest.mark.parametrize(
    ("event", "factor"),
    [
        (made.passed_hash("admin", "FS01", at(9)), "pass_the_hash"),
        (made.passed_hash("admin", "FS01", at(9)) | {"auth_protocol_id": 2}, ""),
        (
            made.passed_hash("admin", "FS01", at(9))
            | {"unmapped": {"LogonProcessName": "NtLmSsp", "KeyLength": "128"}},
            "",
        ),
        (made.passed_hash("admin", "FS01", at(9)) | {"unmapped": {"LogonProcessName": "User32", "KeyLength": "0"}}, ""),
    ],
    ids=["without a key", "kerberos", "with a session key", "another logon process"],
)
def test_a_passed_hash_is_known_by_its_logon(gold: Gold, event: Row, factor: str) -> None:
    gold.events(authentication=[event])
    gold.build()
    assert bool(factor) == ("pass_the_hash" in factors(gold, "admin", "FS01"))


def test_an_anonymous_logon_without_a_key_is_nobodys(gold: Gold) -> None:
    nobody = {"name": "ANONYMOUS LOGON", "uid": "S-1-5-7", "type_id": 0}
    gold.events(authentication=[made.passed_hash("x", "FS01", at(9)) | {"user": nobody}])
    gold.build()
    assert [] == gold.rows("from lateral_movement_candidates")


def test_credentials_taken_on_at_another_machine_are_a_passed_hash_as_well(gold: Gold) -> None:
    taken = {"LogonProcessName": "seclogo", "TargetOutboundUserName": "DANA"}
    gold.events(
        authentication=[
            made.logon("omar", "DC01", at(8, 30), 9) | {"unmapped": taken, "src_endpoint": {"ip": "::1"}},
            made.logon("dana", "FS01", at(9)),
        ]
    )
    gold.build()
    assert "pass_the_hash" in factors(gold, "dana", "FS01")
    assert {} == factors(gold, "omar", "DC01")


def test_a_commuter_between_known_places_does_not_travel(gold: Gold) -> None:
    """Two places that the account is known to sign in from are no impossible journey, however fast."""
    places = [(made.HOME, made.BOSTON), ("198.18.5.1", made.CHISINAU)]
    signed = [made.sign_in("dana", at(hour, 10 * (hour % 2)), *places[hour % 2]) for hour in range(1, 9)]
    gold.events(authentication=[*signed, made.logon("dana", "FS01", at(8, 15))])
    gold.build()
    assert {"new_asset", "new_asset_tag"} == set(factors(gold, "dana", "FS01"))


def test_the_speed_of_an_impossible_journey_is_told(gold: Gold) -> None:
    gold.events(
        authentication=[
            made.sign_in("dana", at(5)),
            made.sign_in("dana", at(8), "198.18.5.1", made.CHISINAU),
            made.logon("dana", "FS01", at(8, 15)),
        ]
    )
    gold.build()
    ((travel,),) = gold.con.execute("select travel from lateral_movement_candidates").fetchall()
    assert (10_800, 7_344, 2_448) == (travel["seconds"], travel["kilometres"], travel["kilometres_per_hour"])


def test_what_is_new_is_new_against_earlier_hours_of_ninety_days(gold: Gold) -> None:
    """The hour itself does not make known what it shows, and what is older than 90 days is forgotten."""
    long_ago = made.logon("dana", "PCIDB01", at(7, 39) - timedelta(days=91))
    story = _incident()
    story["authentication"].append(long_ago)
    gold.events(**story)
    gold.build()
    assert {"new_asset", "new_asset_tag"} <= set(factors(gold))
    story["authentication"][-1] = long_ago | {"time_dt": at(7) - timedelta(days=89)}
    gold.events(**story)
    gold.build()
    assert not {"new_asset", "new_asset_tag"} & set(factors(gold))


def test_a_finding_keeps_its_uid_when_a_late_event_moves_its_beginning(gold: Gold) -> None:
    """Dispositions are said of the uid: a logon of the same hour that arrives late must not make another finding."""
    story = _incident()
    gold.events(**story)
    gold.build()
    (before,) = signals(gold)
    late = made.logon("dana", "PCIDB01", at(7, 31))
    gold.events(**story | {"authentication": [*story["authentication"], late]})
    gold.build()
    (after,) = signals(gold)
    assert (before["finding_info"]["uid"], at(7, 31)) == (after["finding_info"]["uid"], after["_event_at"])


def test_hours_built_in_any_order_give_the_same_rows(gold: Gold) -> None:
    """Every mart of every hour, once from all that there is, and once hour by hour in a shuffled order."""
    story = _incident()
    story["authentication"] += [made.logon("dana", "DC01", at(hour, 50)) for hour in (6, 8)]
    # The next day, at the edges of what an hour looks back to: 24 hours of sign-ins, one hour before a logon.
    story["authentication"] += [
        made.sign_in("omar", at(6, 30)),
        made.sign_in("omar", at(7, 30)),
        made.sign_in("omar", at(30, 20), made.HOSTILE, made.CHISINAU),
        made.logon("omar", "FS01", at(31, 10)),
    ]
    gold.events(**story)
    gold.build(every=True)
    whole = {name: gold.digest(name) for name in MARTS}
    types = {
        kind for name in MARTS for (kind,) in gold.con.execute(f"select column_type from (describe {name})").fetchall()
    }
    assert "HUGEINT" not in types  # Parquet has none: a count would become a DOUBLE
    hours = [at(hour) for hour in (1, 2, 5, 6, 7, 8, 30, 31)]
    random.Random(5).shuffle(hours)
    gold.build_hourly(hours)
    assert whole == {name: gold.digest(name) for name in MARTS}
    assert 2 == len(signals(gold))
