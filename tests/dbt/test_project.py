"""The dbt project as it is read: parsed once for each state of its files, wherever there is a place to keep that."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from orchestration.dbt import project as reading
from orchestration.dbt.manifest import ManifestFailed
from orchestration.dbt.project import Project, load_project
from tests.integration import okta_logs
from tests.integration.lakes import headwater

TABLE = f"models/silver/authentication/authentication__{okta_logs.SOURCE}.sql"


@pytest.fixture
def copied(okta_project: Path, tmp_path: Path) -> Path:
    """A copy of a small project, parsed."""
    return Path(shutil.copytree(okta_project, tmp_path / "project"))


def refuse(*_: object, **__: object) -> Any:
    raise AssertionError("dbt was started")


def test_an_unchanged_project_is_read_without_dbt(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "invoke", refuse)
    for path in copied.rglob("*"):
        os.utime(path, (0, 0))  # other times are no other files
    assert f"authentication__{okta_logs.SOURCE}" in load_project(copied).mappings.fingerprints


@pytest.mark.parametrize("damage", [None, b"", b"{", b"model", b"key"])
def test_what_tables_are_made_of_is_computed_once_and_anew_when_it_is_damaged(
    copied: Path, monkeypatch: pytest.MonkeyPatch, damage: bytes | None
) -> None:
    made = load_project(copied).mappings
    kept = next(copied.glob("target/made_of.json"))
    if damage is not None:
        text = kept.read_bytes()
        kept.write_bytes(text.replace(damage, damage[::-1]) if len(damage) > 1 else damage)
    computed = []
    again = Project(copied, load_project(copied).manifest)
    monkeypatch.setattr(Project, "_parts", lambda self: computed.append(self) or made.parts)
    assert again.mappings == made
    assert bool(computed) == (damage is not None)


def test_what_was_kept_of_other_files_or_other_code_does_not_count(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = load_project(copied).mappings
    computed = []
    monkeypatch.setattr(Project, "_parts", lambda self: computed.append(self) or made.parts)
    (copied / "ocsf").mkdir(exist_ok=True)
    (copied / "ocsf/more.yml").write_text("edited")
    assert Project(copied, load_project(copied).manifest).mappings == made
    monkeypatch.setattr("orchestration.dbt.fingerprints._MADE_BY", ("lake/ocsf",))
    assert Project(copied, load_project(copied).manifest).mappings == made
    assert len(computed) == 2


@pytest.mark.parametrize(
    ("old", "new", "is_known"),
    [
        ("where class_uid = 3002", "where class_uid = 3002", True),
        ("where class_uid = 3002", "where class_uid in (3002, 0)", False),
        ("where class_uid = 3002", "where class_uid = 3002 or true", False),
        ("where class_uid = 3002", "", False),
        ("where class_uid = 3002", f"where class_uid = 3002 union all from main.{okta_logs.SOURCE}", False),
    ],
)
def test_a_mapping_that_reads_its_class_alone_is_known(copied: Path, old: str, new: str, is_known: bool) -> None:
    model, manifest = Path(TABLE).stem, load_project(copied).manifest
    node = manifest["nodes"][f"model.headwater.{model}"]
    assert old in node["raw_code"]
    edited = {**node, "raw_code": node["raw_code"].replace(old, new)}
    project = Project(copied, {**manifest, "nodes": {**manifest["nodes"], node["unique_id"]: edited}})
    assert project.class_read(model) == (3002 if is_known else None)


def test_a_build_starts_from_what_dbt_wrote_unless_that_is_damaged(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = load_project(copied)
    monkeypatch.setattr(reading, "_objects", {})
    monkeypatch.setattr(reading, "invoke", refuse)
    assert f"model.headwater.{Path(TABLE).stem}" in project.dbt_manifest().nodes
    (project.target / "partial_parse.msgpack").write_bytes(b"damaged")
    reading._objects.clear()
    with pytest.raises(AssertionError, match="dbt was started"):
        project.dbt_manifest()


def test_a_removed_model_is_seen(copied: Path) -> None:
    before = load_project(copied).mappings.models_of(okta_logs.SOURCE)
    (copied / TABLE).unlink()
    after = load_project(copied).mappings.models_of(okta_logs.SOURCE)
    assert set(before) - set(after) == {Path(TABLE).stem}


@pytest.mark.parametrize("has_home", [True, False])
def test_a_project_that_cannot_be_written_to_is_kept_elsewhere(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_home: bool
) -> None:
    shutil.rmtree(copied / "target")
    (copied / "target").write_text("no folder can be made here")
    home = tmp_path / "home"
    home.mkdir() if has_home else home.write_text("nor here")
    monkeypatch.setenv("HOME", str(home))
    target = load_project(copied).target
    assert target.is_relative_to(home) == has_home
    monkeypatch.setattr(reading, "invoke", refuse)
    monkeypatch.setattr(reading, "_loaded", {})
    assert load_project(copied).target == target


def test_while_it_cannot_be_parsed_the_last_manifest_serves(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = load_project(copied).mappings
    (copied / "dbt_project.yml").write_text("name: [\n")
    broken = load_project(copied)
    assert (broken.mappings, broken.current, broken.dbt_manifest()) == (before, False, None)
    monkeypatch.setattr(reading, "invoke", refuse)
    assert load_project(copied) is broken, "it is not parsed again before somebody edits it"


def test_a_project_that_never_could_be_parsed_is_one_clear_error(copied: Path) -> None:
    shutil.rmtree(copied / "target")
    (copied / "dbt_project.yml").write_text("name: [\n")
    with pytest.raises(ManifestFailed, match="while parsing a flow node"):
        load_project(copied)


def test_a_model_that_never_could_be_parsed_stops_itself_alone(copied: Path) -> None:
    whole = load_project(copied).models
    shutil.rmtree(copied / "target")
    (copied / TABLE).write_text("select {{ no_such_macro( }}")
    project = load_project(copied)
    assert (whole, [Path(TABLE).stem]) == (project.models, [project.name(each) for each in project.broken])


def test_a_build_leaves_the_process_as_it_was(copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plan, lake and settings are arguments: the environment stays, and what is relative starts where the caller is."""
    monkeypatch.setattr(reading, "PROJECT", copied)
    monkeypatch.setenv("DBT_PROJECT_DIR", "/nowhere")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "headwater.yml").write_text("lake: here\nthreads: 2\n")
    assert headwater("land", okta_logs.SOURCE, okta_logs.delivery(tmp_path / "delivered")).code == 0
    before = dict(os.environ)
    said = headwater("build", "--source", okta_logs.SOURCE, "--json")
    assert said.code == 0, said.err
    assert len(json.loads(said.out)["hours"][okta_logs.SOURCE]) == 3
    assert (dict(os.environ), Path.cwd()) == (before, tmp_path)
    assert (tmp_path / "here/silver/authentication").is_dir()


def test_a_project_that_cannot_be_parsed_fails_the_build_in_dbts_words(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "PROJECT", copied)
    monkeypatch.chdir(tmp_path)
    assert headwater("land", okta_logs.SOURCE, okta_logs.delivery(tmp_path / "delivered")).code == 0
    (copied / "dbt_project.yml").write_text("name: [\n")
    said = headwater("build", "--source", okta_logs.SOURCE)
    assert said.code == 1 and "Traceback" not in said.err
    assert "dbt: " in said.err and "while parsing a flow node" in said.err
