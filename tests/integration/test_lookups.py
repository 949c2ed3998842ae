"""Events wait for a lookup provider and lose nothing by it: they are published, and made whole when it has answered."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from tests.integration.lakes import files, headwater, marks, rows
from tests.integration.okta_logs import SOURCE, event, write
from tests.simulators.lookups_abuseipdb import AbuseIpDbSimulator

KEY = "k3y-of-the-simulator"
HOSTILE, PUBLIC, PRIVATE = "8.8.4.4", "9.9.9.9", "10.1.2.3"
DOCUMENTED = "198.51.100.7"  # what the events of `okta_logs` have
SIGN_INS = "silver/authentication"


@pytest.fixture
def provider(lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AbuseIpDbSimulator]:
    """A provider that is asked about the addresses of sign-ins, in the settings."""
    monkeypatch.setattr("ingest.lookups.ask._TRY_PAUSE_SECONDS", 0.0)
    with AbuseIpDbSimulator({HOSTILE: 100}, KEY) as running:
        asked = {"type": "abuseipdb", "base_url": f"{running.url}/api/v2", "key_env": "A_LOOKUP_KEY"}
        given = {"lookups": {"abuseipdb": asked | {"ask_about": ["authentication.src_endpoint.ip"]}}}
        (tmp_path / "headwater.yml").write_text(yaml.safe_dump(given))
        monkeypatch.setenv("HEADWATER_CONFIG", str(tmp_path / "headwater.yml"))
        monkeypatch.setenv("A_LOOKUP_KEY", KEY)
        yield running


def _from(address: str) -> dict[str, Any]:
    return {"client": {"ipAddress": address}}


def _land(folder: Path) -> None:
    """Three hours: of hostile, private and public addresses; the middle one has nothing to ask about."""
    events = [event(f"h-{n}", "2026-03-02T03:10:00.000Z", **_from(HOSTILE)) for n in range(3)]
    events += [event("p", "2026-03-02T04:10:00.000Z", **_from(PRIVATE)), event("d", "2026-03-02T04:20:00.000Z")]
    events += [
        event(f"o-{n}", "2026-03-02T05:10:00.000Z", **_from(a)) for n, a in enumerate((HOSTILE, PUBLIC, PRIVATE))
    ]
    assert headwater("land", SOURCE, write(folder / "a.ndjson", events)).code == 0


def _build() -> dict[str, Any]:
    said = headwater("build", "--source", SOURCE, "--json")
    assert said.code == 0, said.err
    return said.json


def _enrichments(lake: Path) -> list[tuple[Any, ...]]:
    """(address, type, provider, reputation, data) of all sign-ins that have an enrichment of a provider."""
    with duckdb.connect() as con:
        return con.execute(
            "select src_endpoint.ip, entry.type, entry.provider, entry.reputation.score_id, entry.data from ("
            f"select src_endpoint, unnest(enrichments) as entry from '{lake}/{SIGN_INS}/**/*.parquet'"
            ") where entry.type in ('pending', 'reputation') order by all"
        ).fetchall()


def test_events_wait_published_and_only_their_files_are_built_again(
    lake: Path, provider: AbuseIpDbSimulator, tmp_path: Path
) -> None:
    _land(tmp_path / "delivered")
    provider.stop()
    _build()
    assert [row[:2] for row in _enrichments(lake)] == [(HOSTILE, "pending")] * 4 + [(PUBLIC, "pending")]
    assert headwater("balance").code == 0, "waiting events are published events"
    headwater("lookup")
    assert "nothing is stale" in headwater("build").out, "what was not answered makes nothing stale"

    provider.start()
    (lake / "ledger/lookups/abuseipdb/spent.json").unlink()  # a day later: nobody is left alone any more
    asked = headwater("lookup", "--json").json
    assert [(each["answered"], each["left"]) for each in asked] == [(2, 0)]
    assert sorted(set(provider.asked)) == [HOSTILE, PUBLIC], "private and documented addresses are never sent"

    before = {key: mark for key, mark in marks(lake, "silver").items()}
    assert _build()["hours"] == {SOURCE: ["2026-03-02T03", "2026-03-02T05"]}
    changed = {key for key, mark in marks(lake, "silver").items() if before[key] != mark}
    assert changed == {f"{SIGN_INS}/source={SOURCE}/date=2026-03-02/hour={hour}/part.parquet" for hour in ("03", "05")}
    found = _enrichments(lake)
    assert [row[:4] for row in found] == [(HOSTILE, "reputation", "abuseipdb", 10)] * 4 + [
        (PUBLIC, "reputation", "abuseipdb", 0)
    ]
    assert json.loads(found[0][4])["confidence"] == 100
    assert "nothing is stale" in headwater("build").out
    assert KEY.encode() not in b"".join(path.read_bytes() for path in lake.rglob("*") if path.is_file())


def test_an_hour_built_again_has_the_same_rows_whatever_was_answered_since(
    lake: Path, provider: AbuseIpDbSimulator, tmp_path: Path
) -> None:
    _land(tmp_path / "delivered")
    _build()
    headwater("lookup")
    _build()
    before = rows(lake / "silver")
    provider.scores = {HOSTILE: 0, PUBLIC: 100}
    later = [event("l", "2026-03-02T06:10:00.000Z", **_from("1.1.1.1"))]
    assert headwater("land", SOURCE, write(tmp_path / "b.ndjson", later)).code == 0
    _build()
    assert [each["answered"] for each in headwater("lookup", "--json").json] == [1]
    assert headwater("build", "--again").code == 0
    assert {key: mark for key, mark in rows(lake / "silver").items() if "hour=06" not in key} == before
    assert files(lake, "reference")
