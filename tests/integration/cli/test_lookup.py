"""What people see of lookup providers at the command line."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from lake.storage.store import LocalStore
from tests.integration.ingest.lookups.waiting import KEY, KEY_ENV, publish_waiting
from tests.integration.lakes import headwater
from tests.simulators.lookups_abuseipdb import AbuseIpDbSimulator

BAD, GOOD = "8.8.4.4", "9.9.9.9"


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """A lake with events that wait for `abuse`."""
    store = LocalStore(tmp_path / "lake")
    publish_waiting(store, "abuse", [BAD, GOOD, GOOD])
    return store


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: LocalStore) -> Iterator[AbuseIpDbSimulator]:
    with AbuseIpDbSimulator({BAD: 100}, KEY) as running:
        _settings(tmp_path, base_url=f"{running.url}/api/v2")
        monkeypatch.setenv(KEY_ENV, KEY)
        yield running


def _settings(folder: Path, **more: object) -> None:
    given = {"type": "abuseipdb", "key_env": KEY_ENV, "ask_about": ["authentication.src_endpoint.ip"]} | more
    (folder / "headwater.yml").write_text(yaml.safe_dump({"lake": "lake", "lookups": {"abuse": given}}))


def test_a_dry_run_says_what_would_be_asked_and_asks_nobody(api: AbuseIpDbSimulator) -> None:
    said = headwater("lookup", "--dry-run")
    assert said.code == 0
    assert f"abuse would be asked about: {BAD}, {GOOD}" in said.out
    (told,) = headwater("lookup", "abuse", "--dry-run", "--limit", 1, "--json").json
    assert (told["next"], told["waiting"], told["events"], told["since"][:10]) == ([BAD], 2, 3, "2026-03-02")
    assert (told["left"], api.requests) == ({"minute": None, "day": 1000, "month": None}, [])


def test_asking_says_what_came_of_it_and_what_to_do_next(api: AbuseIpDbSimulator) -> None:
    said = headwater("lookup", "--limit", 1)
    assert said.code == 0
    assert "1 observables are not answered yet: their events are published" in said.out
    assert "run `headwater build`" in said.out
    (told,) = headwater("lookup", "--json").json
    assert (told["answered"], told["left"], told["by_status"]) == (1, 0, {"known": 1})
    (stands,) = headwater("lookup", "status", "--json").json
    assert (stands["answers"], stands["waiting"], stands["left"]["day"]) == (2, 0, 998)
    rows = headwater("query", "select value, score_id from reference.lookups order by value", "--json").json
    assert rows == [{"value": BAD, "score_id": 10}, {"value": GOOD, "score_id": 0}]


def test_a_run_ends_with_its_time(api: AbuseIpDbSimulator) -> None:
    said = headwater("lookup", "--minutes", 0)
    assert (said.code, "the time of this run is over" in said.out, api.requests) == (0, True, [])


def test_without_a_key_nobody_is_asked_and_the_variable_is_named(
    api: AbuseIpDbSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(KEY_ENV)
    said = headwater("lookup")
    assert said.code == 1
    assert f"{KEY_ENV} is not set (lookups.abuse.key_env names it); set it to the key" in said.out
    assert "2 observables are not answered yet" in said.out
    assert f"lookup abuse: 0 answers, 2 observables wait; {KEY_ENV} is not set" in headwater("doctor").out
    assert api.requests == []


def test_a_provider_or_an_attribute_that_there_is_not_is_said(api: AbuseIpDbSimulator, tmp_path: Path) -> None:
    said = headwater("lookup", "shodan")
    assert (said.code, "no lookup provider 'shodan' is set; there are abuse" in said.err) == (2, True)
    _settings(tmp_path, ask_about=["authentication.nobody.ip"])
    said = headwater("lookup")
    assert (said.code, "authentication has no such attribute" in said.err) == (2, True)
    assert "authentication has no such attribute" in headwater("doctor").out
    _settings(tmp_path, key_env="")
    given = yaml.safe_load((tmp_path / "headwater.yml").read_text())
    given["lookups"]["other"] = {**given["lookups"]["abuse"], "ask_about": ["nobody.ip"]}
    (tmp_path / "headwater.yml").write_text(yaml.safe_dump(given))
    said = headwater("lookup", "--dry-run")
    assert (said.code, "lookups.other.ask_about: nobody.ip: there is no table nobody" in said.err) == (1, True)
    assert "abuse would be asked about" in said.out, "one that cannot be asked stops no other"
    _settings(tmp_path, type="shodan")
    said = headwater("lookup")
    assert (said.code, "lookups.abuse: 'shodan' is no type (known: abuseipdb, greynoise" in said.err) == (1, True)


def test_without_providers_there_is_nothing_to_ask(store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "headwater.yml").write_text("lake: lake\n")
    said = headwater("lookup")
    assert (said.code, "no lookup provider is set" in said.out) == (2, True)
    assert headwater("lookup", "status").code == 2
