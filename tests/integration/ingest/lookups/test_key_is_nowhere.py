"""The key stands in the header of a request and nowhere else: not in messages, logs, receipts or files."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from ingest.lookups.provider import Lookup
from lake.storage.store import LocalStore
from tests.integration.ingest.lookups.waiting import KEY, Time, ask, everything, lookup, publish_waiting
from tests.simulators.lookups_abuseipdb import AbuseIpDbSimulator
from tests.simulators.lookups_api import Fault, LookupApi
from tests.simulators.lookups_greynoise import GreyNoiseSimulator
from tests.simulators.lookups_virustotal import VirusTotalSimulator

BAD, GOOD = "8.8.4.4", "9.9.9.9"
PROVIDERS: dict[str, tuple[type[LookupApi], str]] = {
    "abuseipdb": (AbuseIpDbSimulator, "/api/v2"),
    "virustotal": (VirusTotalSimulator, "/api/v3"),
    "greynoise": (GreyNoiseSimulator, ""),
}


@pytest.fixture(params=sorted(PROVIDERS))
def provider(request: pytest.FixtureRequest) -> Iterator[tuple[str, LookupApi, str]]:
    simulator, path = PROVIDERS[request.param]
    with simulator(key=KEY) as running:
        yield request.param, running, f"{running.url}{path}"


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[list[str]]:
    """Everything that was logged or printed, and what a test adds."""
    caplog.set_level(logging.DEBUG)
    texts: list[str] = []
    yield texts
    texts += [caplog.text, *capfd.readouterr()]
    assert not [text for text in texts if KEY in text]


def test_the_key_goes_into_a_header_and_is_written_nowhere(
    store: LocalStore, provider: tuple[str, LookupApi, str], time: Time, said: list[str]
) -> None:
    kind, api, url = provider
    publish_waiting(store, kind, [BAD, GOOD])
    for fault in ("echo", "garbage", "reset"):
        api.inject(Fault(fault, times=1))  # type: ignore[arg-type]
    said.append(repr(ask(store, lookup(kind, url), time)))
    assert all(KEY in request.headers.values() for request in api.requests)
    assert not [request for request in api.requests if KEY in f"{request.path}{request.query}{request.body}"]
    assert KEY.encode() not in everything(store.path)


def test_a_provider_or_a_proxy_that_repeats_the_key_does_not_get_it_into_a_message(
    store: LocalStore, provider: tuple[str, LookupApi, str], time: Time, said: list[str]
) -> None:
    kind, api, url = provider
    publish_waiting(store, kind, [BAD])
    api.inject(Fault("echo", times=None, status=403))
    done = ask(store, lookup(kind, url), time)
    said.append(repr(done))
    assert "***" in done.stopped
    assert KEY.encode() not in everything(store.path)


def test_a_proxy_on_the_way_that_fails_is_told_without_the_key(
    store: LocalStore, time: Time, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_waiting(store, "virustotal", [BAD])
    with VirusTotalSimulator(key=KEY) as proxy:
        proxy.inject(Fault("echo", times=None, status=502))
        monkeypatch.setenv("http_proxy", proxy.url)
        done = ask(store, lookup("virustotal", "http://provider.example/api/v3"), time)
        monkeypatch.setenv("http_proxy", "http://user:secret-of-the-proxy@127.0.0.1:9")
        refused = ask(store, lookup("virustotal", "http://provider.example/api/v3", name="other"), time)
    publish_waiting(store, "other", [BAD])
    refused = ask(store, lookup("virustotal", "http://provider.example/api/v3", name="other"), time)
    said += [repr(done), repr(refused)]
    assert "502" in done.failures[0]
    assert "http://provider.example: the proxy on the way does not answer" in refused.failures[0]
    assert b"secret-of-the-proxy" not in everything(store.path) + repr(refused).encode()
    assert KEY.encode() not in everything(store.path)


def test_a_redirect_takes_the_key_nowhere(store: LocalStore, time: Time, said: list[str]) -> None:
    publish_waiting(store, "abuseipdb", [BAD])
    with AbuseIpDbSimulator(key=KEY) as api, AbuseIpDbSimulator(key=KEY) as other:
        api.inject(Fault("error", times=None, status=302, headers={"Location": f"{other.url}/api/v2/check"}))
        done = ask(store, lookup("abuseipdb", f"{api.url}/api/v2"), time)
    said.append(repr(done))
    assert (done.answered, other.requests) == (0, [])


def test_settings_hold_the_name_of_a_variable_and_no_address_with_a_key() -> None:
    def given(**options: Any) -> Lookup:
        return lookup("abuseipdb", options.pop("url", "https://api.example"), **options)

    for wrong in ("https://user:pass@api.example", "https://api.example/?key=1", "ftp://api.example"):
        with pytest.raises(ValueError, match=r"base_url.*expected https://host/path"):
            given(url=wrong)
    with pytest.raises(ValueError, match=r"lookups.abuseipdb.key: unknown setting"):
        given(key=KEY)
