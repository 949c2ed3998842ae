"""Records that make a model fail are kept out of their hour and counted; other records, tables and hours are built."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.contracts import load_contracts
from ingest.landing import land_files
from ingest.objects import list_objects
from lake.ledger.balance import balance
from lake.query import trace
from lake.storage.publish import open_store
from lake.storage.store import Store
from orchestration.dbt.project import load_project
from orchestration.dbt.run import BuildFailed, Built, build
from orchestration.settings import load_settings
from orchestration.steps.query import reading
from tests.integration import okta_logs

SOURCE = okta_logs.SOURCE
HOURS = [f"2026-03-02T0{hour}" for hour in (3, 4, 5)]
EVENTS, MAPPING = f"models/events/{SOURCE}.sql", f"models/silver/base_event/base_event__{SOURCE}.sql"
FAILS = (
    "case when event_type like '%{kind}%' then (event_type || message)::integer else severity_id end as severity_id,"
)


@pytest.fixture(scope="module")
def landed(place: Path) -> Store:
    """Three hours of ten events; three of the first hour and one of the last are poison for a model."""
    poison = {(0, 2): ".read", (0, 3): ".read", (0, 8): ".mapped", (2, 9): ".mapped"}
    lines = [
        okta_logs.event(f"in-{h}-{n}", f"{hour}:10:00.000Z", okta_logs.UNROUTED + poison.get((h, n), ""))
        for h, hour in enumerate(HOURS)
        for n in range(10)
    ]
    store, contract = open_store(str(place / "lake")), load_contracts()[SOURCE]
    okta_logs.write(place / "logs/a.ndjson", lines)
    land_files(contract, list_objects(contract, [place / "logs"]).objects, store)
    return store


@pytest.fixture
def copied(okta_project: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(okta_project, tmp_path / "project"))


def edit(folder: Path, file: str, old: str, new: str) -> None:
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1))


def built(store: Store, project: Path) -> Built:
    return build(load_settings(), store, [SOURCE], project=load_project(project))


def counted(store: Store) -> dict[str, tuple[int, int, bool]]:
    return {row.hour: (row.published, row.unprocessable, row.balanced) for row in balance(store).hours}


def test_they_alone_are_kept_out_until_the_models_are_mended(landed: Store, copied: Path) -> None:
    sound = {file: (copied / file).read_text() for file in (MAPPING, EVENTS)}
    edit(copied, MAPPING, "severity_id,", FAILS.format(kind="mapped"))
    read = FAILS.format(kind="read").replace("else severity_id end", "else 1 end")
    edit(copied, EVENTS, "    end as severity_id,", f"    end as other_id, {read}")
    done = built(landed, copied)
    assert {SOURCE: 4} == {source: len(records) for source, records in done.kept_out.items()}
    without = {HOURS[0]: (7, 3, True), HOURS[1]: (10, 0, True), HOURS[2]: (9, 1, True)}
    assert without == counted(landed)
    with reading(landed) as con:
        found = [trace.trace(con, landed, uid)["records"][0]["disposition"] for uid in ("in-0-2", "in-2-9")]
    error = "Conversion Error: Could not convert string"
    assert found[0].startswith(f"unprocessable: {SOURCE}: {error}")
    assert found[1].startswith(f"unprocessable: base_event__{SOURCE}: {error}")
    assert not built(landed, copied).hours, "nothing is stale"

    for file, text in sound.items():
        (copied / file).write_text(text)
    assert HOURS[0] in built(landed, copied).hours[SOURCE]
    assert dict.fromkeys(HOURS, (10, 0, True)) == counted(landed)


def test_what_a_search_has_no_time_for_is_held_back_and_the_next_build_goes_on(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = [okta_logs.UNROUTED] * 39 + [f"{okta_logs.UNROUTED}.bad"]
    lines = [okta_logs.event(f"in-{n}", f"{HOURS[0]}:10:00.000Z", kind) for n, kind in enumerate(kinds)]
    okta_logs.write(tmp_path / "logs/a.ndjson", lines)
    store, contract = open_store(str(tmp_path / "lake")), load_contracts()[SOURCE]
    land_files(contract, list_objects(contract, [tmp_path / "logs"]).objects, store)
    edit(copied, MAPPING, "severity_id,", FAILS.format(kind="bad"))
    with monkeypatch.context() as hurried:
        hurried.setattr("lake.build.search._Isolation._left", lambda search: 4 - search.tries)
        assert 1 < len(built(store, copied).kept_out[SOURCE]) < 5
    ((hour, (published, held, balanced)),) = counted(store).items()
    assert (HOURS[0], 40, True) == (hour, published + held, balanced) and 1 < held < 5
    assert 1 == len(built(store, copied).kept_out[SOURCE]), "the next build goes on"
    assert {HOURS[0]: (39, 1, True)} == counted(store)
    assert not built(store, copied).hours, "nothing is stale"


def test_records_that_landed_before_nesting_was_bounded_are_kept_out(
    okta_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nested = '{"deep": ' + "[" * 2000 + "]" * 2000 + ","
    deep = okta_logs.event("deep", f"{HOURS[0]}:10:00.000Z").replace("{", nested, 1)
    okta_logs.write(tmp_path / "logs/a.ndjson", [deep, okta_logs.event("flat", f"{HOURS[0]}:10:00.000Z")])
    store, contract = open_store(str(tmp_path / "lake")), load_contracts()[SOURCE]
    with monkeypatch.context() as before:
        before.setattr("ingest.decode.records.MAX_DEPTH", 1_000_000)
        (landed,) = land_files(contract, list_objects(contract, [tmp_path / "logs"]).objects, store)
    assert landed.receipt.landed == 2
    for receipt in (tmp_path / "lake/ledger/landing").rglob("*.json"):  # as it was written then
        receipt.write_text(re.sub(r',\s*"digest":\s*"\w+"', "", receipt.read_text()))
    done = built(store, okta_project)
    assert ["2,001 objects and lists inside each other; at most 200 are read"] == [
        each.error for each in done.kept_out[SOURCE]
    ]
    assert {HOURS[0]: (1, 1, True)} == counted(store)


def test_damaged_bronze_stops_its_own_hour_alone(okta_project: Path, tmp_path: Path) -> None:
    damages: dict[str, tuple[Callable[[bytes], bytes] | None, str]] = {
        "03": (lambda whole: bytes(len(whole)), "holds only zeros: run `headwater doctor --repair`, and land batch"),
        "04": (lambda whole: whole[:300] + bytes(100) + whole[400:], "holds other bytes than its receipt says: run"),
        "05": (lambda whole: whole[: len(whole) // 2], "bytes, and its receipt says"),
        "06": (None, "is missing: land batch"),
    }
    lines = [okta_logs.event(f"in-{hour}", f"2026-03-02T0{hour}:10:00.000Z") for hour in range(2, 8)]
    okta_logs.write(tmp_path / "logs/a.ndjson", lines)
    store, contract = open_store(str(tmp_path / "lake")), load_contracts()[SOURCE]
    land_files(contract, list_objects(contract, [tmp_path / "logs"]).objects, store)
    for hour, (damage, _) in damages.items():
        (bad,) = (tmp_path / "lake/bronze" / SOURCE).rglob(f"hour={hour}/*.parquet")
        whole = bad.read_bytes()
        bad.unlink()
        if damage:
            bad.write_bytes(damage(whole))
    with pytest.raises(BuildFailed) as failed:
        built(store, okta_project)
    assert all(SOURCE in model for model in failed.value.failures)
    for hour, (_, found) in damages.items():
        told = f"2026-03-02T{hour} is not built, for bronze/{SOURCE}/date=2026-03-02/hour={hour}/"
        assert 1 == str(failed.value).count(told), "one sentence, whatever the tables"
        assert found in str(failed.value).partition(told)[2].partition("; ")[0]
    sheet = balance(store, mappings=load_project(okta_project).mappings).hours
    assert {row.hour[-2:]: (row.published, row.balanced) for row in sheet} == {
        **dict.fromkeys(("02", "07"), (1, True)),
        **dict.fromkeys(damages, (0, False)),
    }
