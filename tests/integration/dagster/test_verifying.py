"""`headwater verify` and the check over raw CloudTrail: what is found, and what the lake landed of it."""

import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from ingest.contracts import load_contracts
from orchestration.assets.hours import hourly
from orchestration.assets.keys import bronze_key
from orchestration.checks.integrity import INTEGRITY, integrity_check, integrity_schedule
from orchestration.settings import load_settings
from orchestration.steps.collect import land_hour
from orchestration.steps.verify import newest_settled
from tests.integration.lakes import Said, headwater
from tests.unit.ingest.sources.aws_cloudtrail.trail import Trail, listed, regzip

SOURCE, KEY = "aws_cloudtrail", bronze_key("aws_cloudtrail")
SPAN = ("--from", "2026-03-02T05", "--to", "2026-03-02T08")


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Trail, Path]:
    """A trail of seven hours in a folder, and a lake beside it that has landed hours 05 to 08."""
    place, made = tmp_path_factory.mktemp("landed"), Trail()
    for _ in range(7):
        made.hour()
    made.write(place / "trail", signed=True)
    (place / "keys.json").write_text(json.dumps(listed("eu")))
    (place / "headwater.yml").write_text(
        'lake: lake\npartitions_start: "2026-03-02T00"\nthreads: 2\n'
        f"sources: {{{SOURCE}: {{root: trail}}}}\ncloudtrail_integrity: {{public_keys: [keys.json]}}\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        _alone(patch, place)
        for hour in (5, 6, 7, 8):
            land_hour(load_settings(), load_contracts()[SOURCE], datetime(2026, 3, 2, hour))
    return made, place


@pytest.fixture
def trail(landed: tuple[Trail, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trail:
    """A copy of that place, as the working folder."""
    shutil.copytree(landed[1], tmp_path / "copy")
    _alone(monkeypatch, tmp_path / "copy")
    return landed[0]


def _alone(patch: pytest.MonkeyPatch, place: Path) -> None:
    for name in [name for name in os.environ if name.startswith("HEADWATER_")]:
        patch.delenv(name)
    patch.chdir(place)


def _land_anew() -> None:
    Path("lake/ledger/landing/aws_cloudtrail/20260302T06.json").unlink()
    land_hour(load_settings(), load_contracts()[SOURCE], datetime(2026, 3, 2, 6))


def kinds(said: Said) -> list[tuple[str, str, list[str]]]:
    return [(each["kind"], Path(each["file"]).name, each["batches"]) for each in said.json["findings"]]


def test_a_landed_span_is_sound(trail: Trail) -> None:
    said = headwater("verify", SOURCE, *SPAN, "--json")
    assert (0, [], True) == (said.code, said.json["findings"], said.json["sound"]), said.err
    counts = {name: said.json[name] for name in ("digests", "log_files", "intact", "proven", "landed")}
    assert {"digests": 5, "log_files": 8, "intact": 8, "proven": 8, "landed": 8} == counts
    plain = headwater("verify", SOURCE, *SPAN)
    assert "8 log files in 5 digests, 8 intact (8 proven by a signature), 8 landed as verified; 0 findings" in plain.out


def test_an_altered_file_names_the_batch_that_landed_it(trail: Trail) -> None:
    path = Path("trail") / trail.logs[4]
    path.write_bytes(regzip(path.read_bytes(), b"ListBuckets", b"ListBuckexs"))
    said = headwater("verify", SOURCE, *SPAN, "--json")
    assert (1, [("altered_log_file", path.name, ["20260302T06"])]) == (said.code, kinds(said))
    plain = headwater("verify", SOURCE, *SPAN)
    assert 1 == plain.code and f"altered_log_file: {path.resolve()}" in plain.out and "20260302T06" in plain.out


def test_a_file_that_is_gone_says_that_the_lake_holds_it(trail: Trail) -> None:
    path = Path("trail") / trail.logs[4]
    path.unlink()
    said = headwater("verify", SOURCE, *SPAN, "--json")
    assert [("missing_log_file", path.name, ["20260302T06"])] == kinds(said)
    assert "landed in batch 20260302T06" in said.json["findings"][0]["why"]


def test_a_file_altered_while_it_was_landed_and_put_back_is_landed_differently(trail: Trail, tmp_path: Path) -> None:
    path = Path("trail") / trail.logs[4]
    path.write_bytes(regzip(trail.files[trail.logs[4]], b"ListBuckets", b"DeleteTrailOfAll"))
    _land_anew()
    path.write_bytes(trail.files[trail.logs[4]])
    said = headwater("verify", SOURCE, *SPAN, "--json")
    assert [("landed_differently", path.name, ["20260302T06"])] == kinds(said)
    assert (8, 7) == (said.json["intact"], said.json["landed"])


def test_a_delivered_file_that_no_batch_holds_is_found(trail: Trail) -> None:
    path = Path("trail") / trail.logs[4]
    away = Path("away.json.gz")
    path.rename(away)
    _land_anew()
    away.rename(path)
    said = headwater("verify", SOURCE, *SPAN, "--json")
    assert [("not_landed", path.name, [])] == kinds(said)


def test_an_hour_that_has_not_landed_is_verified_all_the_same(trail: Trail) -> None:
    said = headwater("verify", SOURCE, "--from", "2026-03-02T09", "--json")
    assert ([], 2, 0) == (kinds(said), said.json["proven"], said.json["landed"])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("okta_system_log",), "carry no signatures"),
        (("nothing",), "no source 'nothing'"),
        ((SOURCE, "--from", "2026-03-03", "--to", "2026-03-02"), "is after --to 2026-03-02"),
        ((SOURCE, "--from", "yesterday"), "no day or hour"),
    ],
)
def test_a_call_that_cannot_be_meant_is_one_line(words: tuple[str, ...], told: str, trail: Trail) -> None:
    said = headwater("verify", *words)
    assert 2 == said.code and told in said.err


def test_wrong_places_are_one_line(trail: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_CLOUDTRAIL_INTEGRITY__PUBLIC_KEYS", '["nowhere.pem"]')
    said = headwater("verify", SOURCE, *SPAN)
    assert 1 == said.code and "nowhere.pem: no such file or folder of public keys" in said.err
    Path("headwater.yml").write_text("lake: lake\n")
    monkeypatch.delenv("HEADWATER_CLOUDTRAIL_INTEGRITY__PUBLIC_KEYS")
    said = headwater("verify", SOURCE, *SPAN)
    assert 2 == said.code and "aws_cloudtrail is not configured" in said.err


def _checked(**config: str) -> dg.AssetCheckEvaluation:
    contract = load_contracts()[SOURCE]
    check = integrity_check(KEY, contract)
    asset = dg.AssetSpec(KEY, partitions_def=hourly("2026-03-02T00"))
    defs = dg.Definitions.merge(
        dg.Definitions(assets=[asset], asset_checks=[check]), integrity_schedule(contract, check)
    )
    ops = {"ops": {check.node_def.name: {"config": config}}}
    result = defs.resolve_job_def(f"verify_{SOURCE}").execute_in_process(run_config=ops)
    [evaluation] = result.get_asset_check_evaluations()
    return evaluation


def test_the_check_passes_over_sound_hours(trail: Trail) -> None:
    told = _checked(first="2026-03-02T05", last="2026-03-02T08")
    assert (told.passed, told.check_name, told.blocking) == (True, INTEGRITY, False)
    assert "8 log files are as they were signed, by 5 digests; 8 of them landed" in (told.description or "")
    assert 8 == told.metadata["proven"].value


def test_the_check_fails_by_the_worst_finding_and_names_files(trail: Trail) -> None:
    (Path("trail") / trail.logs[4]).unlink()
    told = _checked(first="2026-03-02T06")
    assert (told.passed, told.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert trail.logs[4] in (told.description or "") and "it is not there" in (told.description or "")
    assert "| error | missing_log_file | s3://org-trail-logs/" in str(told.metadata["findings"].value)


def test_the_check_warns_where_nothing_is_worse(trail: Trail) -> None:
    planted = (Path("trail") / trail.logs[4]).with_name("planted.json.gz")
    planted.write_bytes(b"")
    told = _checked(first="2026-03-02T06")
    assert (told.passed, told.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert str(planted.resolve()) in (told.description or "")


def test_the_schedule_verifies_the_newest_hour_whose_digests_are_due() -> None:
    contract = load_contracts()[SOURCE]
    [schedule] = integrity_schedule(contract, integrity_check(KEY, contract)).schedules or ()
    assert isinstance(schedule, dg.ScheduleDefinition)
    at = datetime(2026, 3, 2, 9, 20, tzinfo=UTC)
    [run] = schedule.evaluate_tick(dg.build_schedule_context(scheduled_execution_time=at)).run_requests or ()
    assert {"first": "2026-03-02T05", "last": "2026-03-02T05"} == next(iter(run.run_config["ops"].values()))["config"]
    assert "2026-03-02T05" == newest_settled(SOURCE, at) == run.run_key
