"""Each provider: what is asked, what is kept of the answer, and what it says of a reputation."""

import json
from datetime import datetime
from typing import Any

import pytest

from ingest.lookups.provider import BadLookup, configured, kinds
from lake.storage.store import LocalStore
from tests.integration.ingest.lookups.waiting import KEY, Time, answers, ask, lookup, publish_waiting
from tests.simulators.lookups_abuseipdb import AbuseIpDbSimulator
from tests.simulators.lookups_api import Fault
from tests.simulators.lookups_greynoise import GreyNoiseSimulator
from tests.simulators.lookups_rdap import BootstrapSimulator, RegistrySimulator
from tests.simulators.lookups_virustotal import VirusTotalSimulator

SHA256 = "ab" * 32


def found(store: LocalStore) -> dict[str, tuple[str, float | None, int | None]]:
    return {row["value"]: (row["status"], row["score"], row["score_id"]) for row in answers(store)}


def data(store: LocalStore, value: str) -> dict[str, Any]:
    (text,) = [row["data"] for row in answers(store) if row["value"] == value]
    return json.loads(text)


def test_the_providers_are_the_files_of_their_folder() -> None:
    assert kinds() == ["abuseipdb", "greynoise", "rdap", "virustotal"]


def test_abuseipdb_counts_confidence_from_0_to_100(store: LocalStore, time: Time) -> None:
    scores = {"8.8.0.1": 100, "8.8.0.2": 80, "8.8.0.3": 60, "8.8.0.4": 30, "8.8.0.5": 1}
    publish_waiting(store, "abuseipdb", [*scores, "8.8.0.6"])
    with AbuseIpDbSimulator(scores, KEY) as api:
        ask(store, lookup("abuseipdb", f"{api.url}/api/v2", max_age_days=30), time)
        assert {request.query["maxAgeInDays"] for request in api.requests} == {"30"}
    assert [each[1:] for each in found(store).values()] == [(100, 10), (80, 9), (60, 8), (30, 7), (1, 6), (0, 0)]
    assert data(store, "8.8.0.1")["usage"] == "Data Center/Web Hosting/Transit"


def test_virustotal_counts_the_engines_that_say_malicious(store: LocalStore, time: Time) -> None:
    engines = {"8.8.0.1": 12, "evil.com": 5, SHA256: 3, "http://evil.com/a?b=c": 1, "good.com": 0}
    for hour, (kind, value) in enumerate(zip(("ip", "domain", "hash", "url", "domain"), engines, strict=True)):
        publish_waiting(store, "virustotal", [value], kind, _at(hour))
    publish_waiting(store, "virustotal", ["unheard-of.com"], "domain", _at(6))
    with VirusTotalSimulator(engines, KEY, clock=lambda: time.now) as api:
        ask(store, lookup("virustotal", f"{api.url}/api/v3"), time)
        assert sorted(api.asked) == sorted([*engines, "unheard-of.com"])
    assert found(store) == {
        "8.8.0.1": ("known", 12, 10),
        "evil.com": ("known", 5, 9),
        SHA256: ("known", 3, 8),
        "http://evil.com/a?b=c": ("known", 1, 7),
        "good.com": ("known", 0, 3),
        "unheard-of.com": ("unknown", None, None),
    }
    assert data(store, "evil.com")["malicious"] == 5


def _at(hour: int) -> datetime:
    return datetime(2026, 3, 2, hour)


SEEN = {"8.8.0.1": "malicious", "8.8.0.2": "suspicious", "8.8.0.3": "benign", "8.8.0.4": "unknown"}
JUDGED = {
    "8.8.0.1": ("known", 9, 9),
    "8.8.0.2": ("known", 7, 7),
    "8.8.0.3": ("known", 3, 3),
    "8.8.0.4": ("known", 5, 5),
    "8.8.0.5": ("known", 3, 3),
    "8.8.0.6": ("unknown", None, None),
}


def test_greynoise_asks_about_many_addresses_at_once(store: LocalStore, time: Time) -> None:
    publish_waiting(store, "greynoise", [*JUDGED, "2606:4700::1111"])
    with GreyNoiseSimulator(SEEN, {"8.8.0.5": "a resolver"}, KEY) as api:
        done = ask(store, lookup("greynoise", api.url, plan="subscription", per_day=None), time)
        assert [len(request.about) for request in api.requests] == [6]
    assert done.requests == 1
    assert found(store) == JUDGED | {"2606:4700::1111": ("refused", None, None)}, "its sensors see IPv4 alone"
    assert data(store, "8.8.0.5")["name"] == "a resolver"


def test_greynoise_counts_addresses_and_not_requests(store: LocalStore, time: Time) -> None:
    publish_waiting(store, "greynoise", JUDGED)
    with GreyNoiseSimulator(SEEN, key=KEY) as api:
        done = ask(store, lookup("greynoise", api.url, plan="subscription", batch=2, per_day=5), time)
        assert [len(request.about) for request in api.requests] == [2, 2, 1]
    assert (done.answered, done.left) == (5, 1)
    assert "the budget of the day (5) is spent" in done.stopped


def test_greynoise_community_asks_one_by_one(store: LocalStore, time: Time) -> None:
    publish_waiting(store, "greynoise", JUDGED)
    with GreyNoiseSimulator(SEEN, {"8.8.0.5": "a resolver"}, KEY) as api:
        ask(store, lookup("greynoise", api.url), time)
        assert [len(request.about) for request in api.requests] == [1] * 6
    assert found(store) == JUDGED


def test_rdap_asks_the_registry_that_iana_names_and_follows_it(store: LocalStore, time: Time) -> None:
    publish_waiting(store, "rdap", ["8.8.0.1", "9.1.0.1", "2606:4700::1111", "1.1.1.1"])
    arin = RegistrySimulator({"8.0.0.0/9": "EXAMPLE-NET"})
    ripe = RegistrySimulator({"2606:4700::/32": "SIX-NET", "9.1.0.0/16": "MOVED-NET"})
    with arin, ripe:
        arin.elsewhere = {"/ip/9.1.0.1": f"{ripe.url}/ip/9.1.0.1"}
        listed = {
            "ipv4": [(["8.0.0.0/8", "9.0.0.0/8"], f"{arin.url}/"), (["2.0.0.0/8"], f"{ripe.url}/")],
            "ipv6": [(["2600::/12"], f"{arin.url}/"), (["2606:4700::/32"], f"{ripe.url}/")],
        }
        with BootstrapSimulator(listed) as iana:
            done = ask(store, lookup("rdap", iana.url), time)
            assert [request.path for request in iana.requests] == ["/ipv4.json", "/ipv6.json"]
        assert (arin.asked, sorted(ripe.asked)) == (["8.8.0.1", "9.1.0.1"], ["2606:4700::1111", "9.1.0.1"])
    assert (done.answered, done.requests) == (4, 6), "redirects and the lists cost requests as well"
    assert {value: each[0] for value, each in found(store).items()} == {
        "1.1.1.1": "unknown",
        "2606:4700::1111": "known",
        "8.8.0.1": "known",
        "9.1.0.1": "known",
    }
    said = data(store, "8.8.0.1")
    assert (said["registrant"], said["network"]) == ("EXAMPLE-NET B.V.", "8.0.0.0-8.127.255.255")
    assert "Jan Jansen" not in str(answers(store)), "names of persons are not kept"
    assert found(store)["8.8.0.1"][2] is None, "a registry judges nobody"


def test_rdap_asks_about_the_registered_name_and_sends_no_more_of_it(store: LocalStore, time: Time) -> None:
    names = ["a.b.evil.com", "www.evil.com", "mail.shop.co.uk", "x.nowhere.zz"]
    publish_waiting(store, "rdap", names, "domain")
    with RegistrySimulator(domains={"evil.com": "A Registrar", "shop.co.uk": "Another"}) as registry:
        with BootstrapSimulator({"dns": [(["com", "uk"], f"{registry.url}/")]}) as iana:
            assert ask(store, lookup("rdap", iana.url), time).by_status == {"known": 3, "unknown": 1}
        assert sorted(registry.asked) == ["co.uk", "evil.com", "shop.co.uk"]
    assert data(store, "www.evil.com")["registrar"] == "A Registrar"
    assert data(store, "www.evil.com")["registered_at"] == "2026-02-28T10:00:00Z"


def test_a_registry_that_is_down_does_not_stop_the_others(store: LocalStore, time: Time) -> None:
    publish_waiting(store, "rdap", [f"8.8.0.{n}" for n in range(1, 6)] + [f"9.1.0.{n}" for n in range(1, 6)])
    with RegistrySimulator() as down, RegistrySimulator({"9.0.0.0/8": "UP-NET"}) as up:
        listed = {"ipv4": [(["8.0.0.0/8"], f"{down.url}/"), (["9.0.0.0/8"], f"{up.url}/")]}
        with BootstrapSimulator(listed) as iana:
            down.inject(Fault("error", times=None, status=503))
            done = ask(store, lookup("rdap", iana.url), time)
    assert (done.answered, done.left) == (5, 5)
    assert len(down.requests) == 9, "three tries for each of three, then it is left alone"


def test_a_registry_that_throttles_is_left_alone_for_as_long_as_it_says(store: LocalStore, time: Time) -> None:
    publish_waiting(store, "rdap", [f"8.8.0.{n}" for n in range(1, 6)])
    with RegistrySimulator({"8.0.0.0/8": "NET"}) as registry, BootstrapSimulator({}) as iana:
        iana.services = {"ipv4": [(["8.0.0.0/8"], f"{registry.url}/")]}
        registry.inject(Fault("error", times=1, status=429, headers={"Retry-After": "600"}))
        assert ask(store, lookup("rdap", iana.url), time).answered == 0
        time.now += 500
        ask(store, lookup("rdap", iana.url), time)
        assert len(registry.requests) == 1
        time.now += 200
        assert ask(store, lookup("rdap", iana.url), time).answered == 5


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("http://169.254.169.254/latest/meta-data", "redirects to an address that is not public"),
        ("http://localhost:8080/", "redirects to an address that is not public"),
        ("file:///etc/passwd", "redirects to something that is no https address"),
        ("http://registry.test.net/ip/8.8.0.1", "redirects more than 5 times"),
    ],
)
def test_a_registry_leads_to_no_place_of_the_house_and_not_in_circles(
    store: LocalStore, time: Time, monkeypatch: pytest.MonkeyPatch, to: str, said: str
) -> None:
    publish_waiting(store, "rdap", ["8.8.0.1"])
    with RegistrySimulator() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        proxy.inject(Fault("error", times=None, status=302, headers={"Location": to}))
        done = ask(store, lookup("rdap", "http://registry.test.net", bootstrap=False), time)
    assert said in done.failures[0]
    assert {request.path for request in proxy.requests} <= {"http://registry.test.net/ip/8.8.0.1", "/ip/8.8.0.1"}


def test_an_answer_that_does_not_end_is_none(store: LocalStore, time: Time) -> None:
    publish_waiting(store, "abuseipdb", ["8.8.0.1"])
    with RegistrySimulator() as api:
        api.inject(Fault("error", times=None, status=200, body=f'{{"data": "{"x" * (9 << 20)}"}}'))
        done = ask(store, lookup("abuseipdb", f"{api.url}/api/v2"), time)
    assert "larger than" in done.failures[0]


def test_without_iana_nobody_is_asked_and_the_lists_are_fetched_once(store: LocalStore, time: Time) -> None:
    publish_waiting(store, "rdap", [f"8.8.0.{n}" for n in range(1, 6)])
    with BootstrapSimulator({}) as iana:
        iana.inject(Fault("error", times=None, status=503))
        done = ask(store, lookup("rdap", iana.url), time)
        assert (done.answered, done.left, len(iana.requests)) == (0, 5, 1)


@pytest.mark.parametrize(
    ("kind", "path", "body"),
    [
        ("abuseipdb", "/api/v2", "[]"),
        ("abuseipdb", "/api/v2", '{"data": {"abuseConfidenceScore": "high"}}'),
        ("virustotal", "/api/v3", '{"data": {"attributes": {"last_analysis_stats": {"malicious": "many"}}}}'),
        ("virustotal", "/api/v3", '{"data": [1]}'),
        ("greynoise", "", '{"noise_": true}'),
        ("greynoise", "", "null"),
    ],
)
def test_an_answer_of_another_shape_than_published_is_none(
    store: LocalStore, time: Time, kind: str, path: str, body: str
) -> None:
    publish_waiting(store, kind, ["8.8.0.1"])
    with RegistrySimulator() as api:
        api.inject(Fault("error", times=None, status=200, body=body))
        done = ask(store, lookup(kind, f"{api.url}{path}"), time)
    assert (done.answered, done.left, len(done.failures)) == (0, 1, 1)
    assert answers(store) == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "no `type` is given"),
        ({"type": "shodan"}, "'shodan' is no type"),
        ({"type": "abuseipdb", "per_day": 0}, "per_day: Input should be greater than or equal to 1"),
        ({"type": "abuseipdb", "perday": 1}, "perday: unknown setting"),
        ({"type": "abuseipdb", "ask_about": ["authentication"]}, "expected <table>.<attribute>"),
        ({"type": "abuseipdb", "ask_about": ["authentication.user.name"]}, "nobody can be asked about it"),
        ({"type": "abuseipdb", "ask_about": ["dns_activity.query.hostname"]}, "holds domain, and abuseipdb answers ip"),
        ({"type": "rdap", "never_send": ["10.0.0.0/99"]}, "neither a network nor a domain"),
    ],
)
def test_settings_that_cannot_be_used_say_what_is_wrong(given: dict[str, Any], said: str) -> None:
    with pytest.raises(BadLookup, match=r"^lookups\.mine") as problem:
        configured("mine", given)
    assert said in str(problem.value)


@pytest.mark.parametrize("name", ["status", "Not-a-name"])
def test_names_that_cannot_be_a_folder_or_mean_something_else_are_refused(name: str) -> None:
    with pytest.raises(BadLookup, match=name):
        configured(name, {"type": "rdap"})
