"""One small log all the way: every event is accounted for, and doing anything twice changes nothing."""

import shutil
from pathlib import Path

import pytest

from lake.ledger.staleness import stale_hours
from lake.storage.store import LocalStore
from orchestration.dbt.project import load_project
from tests.integration import okta_logs
from tests.integration.lakes import Said, files, headwater, leftovers, marks, receipts, rows
from tests.integration.okta_logs import MODELS, SIGN_IN, SOURCE, UNROUTED, event, write

DATA = ("bronze", "quarantine", "silver", "ledger")
COUNTS = ("read", "landed", "quarantined", "duplicates", "filtered", "published", "collisions")


def _land(place: Path) -> None:
    said = headwater("land", SOURCE, place)
    assert said.code == 0, said.err


def _build(*words: str) -> Said:
    said = headwater("build", "--source", SOURCE, *words)
    assert said.code == 0, said.err
    return said


def _counts() -> dict[str, int]:
    total = headwater("balance", "--json").json["total"]
    return {name: total[name] for name in COUNTS}


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory, okta_project: Path) -> Path:
    """A folder with a delivery, and a lake in which it is landed and built; both stay as they are."""
    place = tmp_path_factory.mktemp("day")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("orchestration.dbt.project.PROJECT", okta_project)
        patch.setenv("HEADWATER_LAKE", str(place / "lake"))
        _land(okta_logs.delivery(place / "delivered"))
        _build()
    return place


@pytest.fixture
def built(day: Path, lake: Path) -> Path:
    """The lake that the command line uses: a copy of that one."""
    return Path(shutil.copytree(day / "lake", lake))


def test_every_event_of_a_day_is_accounted_for(lake: Path, delivery: Path) -> None:
    _land(delivery)
    assert headwater("balance").code == 1, "landed events that are not built are not accounted for"
    _build()
    assert headwater("balance").code == 0
    assert _counts() == dict(zip(COUNTS, (22, 19, 3, 2, 1, 16, 2), strict=True))
    reasons = {row["reason"] for row in headwater("quarantine", "list", "--json").json}
    assert reasons == {"not_json", "not_an_object", "wrong_type"}
    assert leftovers(lake) == []


def test_landing_and_building_twice_writes_nothing(day: Path, built: Path) -> None:
    before, untouched = files(built, *DATA), {name: marks(built, name) for name in DATA}
    _land(day / "delivered")
    assert "nothing is stale" in _build().out
    assert files(built, *DATA) == before
    assert {name: marks(built, name) for name in DATA} == untouched


def test_landing_and_building_again_gives_the_same_rows(day: Path, built: Path) -> None:
    before = rows(built), receipts(built)
    assert headwater("land", SOURCE, day / "delivered", "--again").code == 0
    assert "nothing is stale" in _build().out
    _build("--again")
    assert (rows(built), receipts(built)) == before


def test_a_late_record_reopens_its_hour_and_only_its_hour(built: Path, tmp_path: Path) -> None:
    others = {key: mark for key, mark in marks(built, "silver").items() if "hour=04" not in key}
    _land(write(tmp_path / "late.ndjson", [event("late", "2026-03-02T04:59:59.999Z")]))
    assert _build("--json").json["hours"] == {SOURCE: ["2026-03-02T04"]}
    assert {key: mark for key, mark in marks(built, "silver").items() if "hour=04" not in key} == others
    assert (headwater("balance").code, _counts()["published"]) == (0, 17)


def test_an_hour_whose_events_are_gone_becomes_empty(lake: Path, delivery: Path) -> None:
    _land(delivery)
    _build()
    write(delivery / "a.ndjson", [event("moved", "2026-03-02T05:10:00.000Z")], at=1_772_600_000)
    write(delivery / "b.ndjson", [event("other", "2026-03-02T05:10:00.000Z")], at=1_772_600_000)
    _land(delivery)
    assert _build("--json").json["hours"] == {SOURCE: [f"2026-03-02T0{hour}" for hour in (3, 4, 5)]}
    left = [key for name in ("bronze", "silver", "ledger/dispositions") for key in files(lake, name)]
    assert left and all("hour=05" in key for key in left), "no file, not even an empty one, is left of an empty hour"
    assert headwater("query", "--json", "select count(*)::int n from silver.authentication").json == [{"n": 2}]
    assert (headwater("balance").code, _counts()["read"]) == (0, 2)
    assert "nothing is stale" in _build().out


def test_deleted_tables_and_receipts_are_built_again(built: Path) -> None:
    before = rows(built), receipts(built)
    for folder in ("silver", "ledger/build", "ledger/dispositions"):
        shutil.rmtree(built / folder)
    _build()
    assert (rows(built), receipts(built)) == before
    shutil.rmtree(built / "silver")  # the receipts stay: they name files that are gone
    assert headwater("balance").code == 1
    _build()
    assert (rows(built), receipts(built)) == before


def test_copies_are_duplicates_and_different_events_of_one_key_are_not(lake: Path, tmp_path: Path) -> None:
    copies = [event("copy"), event("copy").replace(", ", " ,  "), event("copy")]
    differ = [event("key", severity="INFO"), event("key", severity="WARN")]
    _land(write(tmp_path / "copies.ndjson", copies + differ))
    _build()
    assert _counts() == dict(zip(COUNTS, (5, 5, 0, 2, 0, 3, 2), strict=True))
    found = headwater(
        "query", "--json", "select metadata.uid uid, count(*)::int n from silver.authentication group by 1"
    )
    assert {row["uid"]: row["n"] for row in found.json} == {"copy": 1, "key": 2}


def test_copies_may_lie_in_different_batches(lake: Path, tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        _land(write(tmp_path / f"{name}.ndjson", [event("copy")]))
    _build()
    assert (_counts()["published"], _counts()["duplicates"]) == (1, 2)


class TestAChangedProject:
    """Edits make stale what they can change, and a broken model stops nobody else."""

    @pytest.fixture
    def project(self, okta_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lake: Path) -> Path:
        copy = Path(shutil.copytree(okta_project, tmp_path / "project"))
        monkeypatch.setattr("orchestration.dbt.project.PROJECT", copy)
        return copy

    def _stale(self, lake: Path, project: Path) -> set[str]:
        return {
            model
            for hour in stale_hours(LocalStore(lake), load_project(project).mappings, SOURCE)
            for model in hour.models
        }

    def _append(self, file: Path, text: str) -> None:
        file.write_text(f"{file.read_text()}{text}\n")

    def test_an_edit_makes_stale_what_it_can_change(self, built: Path, project: Path) -> None:
        everything = {f"{table}__{SOURCE}" for table in MODELS}
        mapping = project / f"models/silver/authentication/authentication__{SOURCE}.sql"
        routing = project / "seeds/ocsf_routing.csv"
        assert self._stale(built, project) == set()
        routes = routing.read_text()
        self._append(routing, "another_source,some.event,3002,1,")
        assert self._stale(built, project) == set(), "a route of another source changes nothing here"
        routing.write_text(routes)  # a route of no source would end a build with 1
        self._append(mapping, "-- a comment")
        assert self._stale(built, project) == set()
        mapping.write_text(f"select * from (\n{mapping.read_text()})")
        assert self._stale(built, project) == {f"authentication__{SOURCE}"}
        events = project / f"models/events/{SOURCE}.sql"
        events.write_text(events.read_text().replace("'noise'", "'din'"))
        assert self._stale(built, project) == everything, "a filter decides what is published, and the dispositions"
        _build()
        assert self._stale(built, project) == set()
        self._append(routing, f"{SOURCE},{UNROUTED},3002,1,")
        assert self._stale(built, project) == everything
        _build()
        moved = "select count(*)::int n from silver.authentication where metadata.event_code = '" + UNROUTED + "'"
        assert headwater("query", "--json", moved).json == [{"n": 1}]
        assert headwater("balance").code == 0

    def test_a_broken_model_leaves_the_others_published(self, lake: Path, delivery: Path, project: Path) -> None:
        _land(delivery)
        broken = project / f"models/silver/base_event/base_event__{SOURCE}.sql"
        whole = broken.read_text()
        self._append(broken, "and no_such_column = 1")
        said = headwater("build", "--source", SOURCE)
        assert said.code == 1
        assert f"base_event__{SOURCE}" in said.err and "no_such_column" in said.err
        assert f"authentication__{SOURCE}" not in said.err and "Traceback" not in said.err
        assert headwater("query", "--json", "select count(*)::int n from silver.authentication").json == [{"n": 15}]
        sheet = headwater("balance", "--json")
        assert sheet.code == 1
        hours = [row for row in sheet.json["hours"] if row["landed"]]
        assert {row["state"] for row in hours} == {"not built"}
        assert all(f"base_event__{SOURCE}" in row["why"] for row in hours)
        assert "3 event hours are not built" in headwater("balance").out
        broken.write_text(whole)
        _build()
        assert headwater("balance").code == 0

    def test_a_removed_model_takes_its_table_along(self, built: Path, project: Path) -> None:
        (project / f"models/silver/base_event/base_event__{SOURCE}.sql").unlink()
        _build()
        assert [key for key in files(built, "silver", "ledger/build") if "base_event" in key] == []
        assert headwater("balance").code == 1, "its events are published nowhere now"


def test_sign_ins_are_what_is_published(lake: Path, delivery: Path) -> None:
    _land(delivery)
    _build("--from", "2026-03-02T05", "--to", "2026-03-02T05")
    codes = headwater("query", "--json", "select distinct metadata.event_code code from silver.authentication").json
    assert codes == [{"code": SIGN_IN}]
    assert "2 event hours are not built" in headwater("balance").out


def test_a_span_of_days_gives_the_rows_that_its_hours_give_one_by_one(lake: Path, tmp_path: Path) -> None:
    """More hours than a run writes at once go through one unsorted file a table, day by day."""
    times = [f"2026-03-0{2 + at // 24}T{at % 24:02}:30:00.000Z" for at in range(30)]
    _land(write(tmp_path / "span.ndjson", [event(f"span-{at}", time) for at, time in enumerate(times)]))
    assert 30 == len(_build("--json").json["hours"][SOURCE])
    assert (headwater("balance").code, _counts()["published"]) == (0, 30)
    at_once = rows(lake)
    shutil.rmtree(lake / "silver")
    for name in ("build", "dispositions"):
        shutil.rmtree(lake / "ledger" / name)
    for first, last in (("2026-03-02T00", "2026-03-02T14"), ("2026-03-02T15", "2026-03-03T23")):
        _build("--from", first, "--to", last)
    assert rows(lake) == at_once
    assert leftovers(lake) == []
