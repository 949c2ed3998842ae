"""A model that cannot be read, compiled or run stops itself and what reads it, by name; the rest is built."""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lake.base.errors import warn_once
from orchestration.dbt import project as reading
from orchestration.dbt.project import load_project
from tests.integration import okta_logs
from tests.integration.lakes import headwater
from tests.storms import mostly_in_storms

MAPPING = f"models/silver/authentication/authentication__{okta_logs.SOURCE}"
BASE = f"base_event__{okta_logs.SOURCE}"
STAGING = "models/staging/stg_okta__system_log.sql"
READS = "select time_dt as _event_at, metadata.uid as uid from {{ ref('%s') }}"
MARTS = {
    "signins": READS % f"authentication__{okta_logs.SOURCE}",
    "later": "select _event_at, uid from {{ ref('signins') }}",
    "others": READS % BASE,
}


@pytest.fixture(scope="module")
def with_marts(okta_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small project with three marts: `later` reads `signins`, `others` reads neither."""
    folder = Path(shutil.copytree(okta_project, tmp_path_factory.mktemp("dbt") / "project"))
    (folder / "models/gold").mkdir()
    for name, sql in MARTS.items():
        (folder / f"models/gold/{name}.sql").write_text(sql)
    load_project(folder)
    return folder


@pytest.fixture
def copied(with_marts: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(with_marts, tmp_path / "project"))


def write(folder: Path, file: str, contents: str | bytes) -> None:
    path = folder / file
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(contents if isinstance(contents, bytes) else contents.encode())


MART, PROPERTIES = "models/gold/signins.sql", "models/gold/signins.yml"
LATER = ("later", "signins")
# Of each kind of file one, and what another message tells; the rest in storms.
PARSED = ("Jinja", "not UTF-8", "a ref to nothing", "a circle", "another of its name", "YAML", "a macro", "a test")
RUN = ("a mapping that is no SQL", "a view of an undefined macro", "rows of the routes", "a mart of nothing")
# what is written where: the tables that stop, and what is said
BROKEN: dict[str, tuple[str, str | bytes, tuple[str, ...], str]] = {
    "Jinja": (f"{MAPPING}.sql", "select {{ nothing( }}", (Path(MAPPING).name, *LATER), "unexpected '}'"),
    "an open block": (MART, "{% if true %} select 1", LATER, "Unexpected end of template"),
    "not UTF-8": (MART, b"select '\xff'", LATER, "is not UTF-8 at byte 8"),
    "a ref to nothing": (MART, "select 1 from {{ ref('signinz') }}", LATER, "'signinz' which was not found"),
    "a source of nothing": (MART, "select 1 from {{ source('bronze', 'x') }}", LATER, "'bronze.x' which was not found"),
    "a circle": (MART, "select * from {{ ref('later') }}", LATER, "later, signins read each other in a circle"),
    "another of its name": ("models/gold/b/signins.sql", "select 1", LATER, "another model named signins"),
    "reads no table": (MART, "select 1", LATER, "a mart reads at least one table"),
    "YAML": (PROPERTIES, "models:\n  - name: signins\n   columns: [\n", LATER, "signins.yml"),
    "a YAML key twice": (
        PROPERTIES,
        "models:\n  - name: signins\n    description: a\n    description: b\n",
        LATER,
        "description",
    ),
    "a list as properties": (PROPERTIES, "- name: signins\n", LATER, "found a list"),
    "models that are a mapping": (PROPERTIES, "models: {signins: 1}\n", LATER, "models: expected a list of entries"),
    "meta that is a number": (PROPERTIES, "models: [{name: signins, config: {meta: 5}}]", LATER, "meta: expected"),
    "columns that are a number": (PROPERTIES, "models: [{name: signins, columns: 5}]", LATER, "5 is not of type"),
    "a window without unit": (
        PROPERTIES,
        "models: [{name: signins, config: {meta: {reads: {later: 5}}}}]",
        LATER,
        "5 is no span",
    ),
    "properties of a mapping": (
        f"models/silver/base_event/{BASE}.yml",
        f"models:\n- name: {BASE}\n  meta:\n   reads: [\n",
        (BASE, "others"),
        f"{BASE}.yml",
    ),
    "a macro": ("macros/okta_system_log.sql", "{% macro okta_target( %}", (), "expected token"),
    "a test": ("tests/one.sql", "select {{ nothing( }}", (), "unexpected '}'"),
}


@pytest.mark.parametrize("kind", mostly_in_storms(BROKEN, PARSED))
def test_what_cannot_be_parsed_stops_what_reads_it(kind: str, copied: Path, caplog: pytest.LogCaptureFixture) -> None:
    file, contents, stopped, why = BROKEN[kind]
    before = load_project(copied)
    write(copied, file, contents)
    with caplog.at_level(logging.WARNING):
        project = load_project(copied)
    assert project.current and set(before.models) == set(project.models), "all keep their place"
    blocked = project.blocked(before.mappings.fingerprints)
    if stopped:
        assert sorted(stopped) == sorted(blocked)
    assert any(str(copied) in each and Path(file).stem in each and why in each for each in caplog.messages)
    was, now = before.mappings.fingerprints, project.mappings.fingerprints
    changed = {name for name in was if was[name] != now[name]}
    assert changed <= set(blocked) if stopped else True, "nothing else becomes stale"
    assert project.dbt_manifest() is not None
    reading._loaded.clear()
    reading._objects.clear()
    again = load_project(copied)  # as another process does
    assert (again.broken, again.problems) == (project.broken, project.problems)
    assert again.dbt_manifest() is not None


def test_what_was_mended_is_as_before(copied: Path) -> None:
    before, text = load_project(copied), (copied / MART).read_text()
    write(copied, MART, "select {{ nothing( }}")
    assert load_project(copied).broken
    write(copied, MART, text)
    after = load_project(copied)
    assert (after.broken, after.mappings) == ({}, before.mappings)


def test_many_are_named_at_once(copied: Path) -> None:
    for name in MARTS:
        write(copied, f"models/gold/{name}.sql", "select {{ ref('nothing') }}")
    assert sorted(f"model.headwater.{name}" for name in MARTS) == sorted(load_project(copied).broken)


@pytest.mark.parametrize("text", ["{}", "[]", "7", '{"metadata": {}, "nodes": []}', '{"nodes": {"a": 1}}', "{"])
def test_a_manifest_of_another_shape_is_made_anew(copied: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = load_project(copied).mappings
    (copied / "target/manifest.json").write_text(text)
    monkeypatch.setattr(reading, "_loaded", {})
    assert before == load_project(copied).mappings


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("landed")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("HEADWATER_LAKE", str(folder / "lake"))
        assert 0 == headwater("land", okta_logs.SOURCE, okta_logs.delivery(folder / "delivered")).code
    return folder / "lake"


Failed = dict[str, str]


@pytest.fixture
def build(
    copied: Path, landed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], tuple[set[str], str]]:
    """Build a copy of the lake; return the tables that were published, and what was said."""
    shutil.copytree(landed, tmp_path / "lake")
    monkeypatch.setattr(reading, "PROJECT", copied)
    monkeypatch.setenv("HEADWATER_LAKE", str(tmp_path / "lake"))
    monkeypatch.chdir(tmp_path)

    def run() -> tuple[set[str], str]:
        said = headwater("build")
        told = "error:" in said.err or "they are left out until that is corrected" in said.err
        broken = told or bool(load_project(copied).problems)
        assert "Traceback" not in said.err and said.code == int(broken)
        folders = [*(tmp_path / "lake/silver").glob("*"), *(tmp_path / "lake/gold").glob("*")]
        return {folder.name for folder in folders if any(folder.rglob("*.parquet"))}, said.err

    return run


AT_RUN: dict[str, tuple[str, str, set[str], tuple[str, ...]]] = {
    "a mapping that cannot be parsed": (
        f"{MAPPING}.sql",
        "select {{ nothing( }}",
        {"base_event", "others"},
        ("authentication__okta_system_log.sql: unexpected '}'",),
    ),
    "a mapping that is no SQL": (f"{MAPPING}.sql", "selec 1", {"base_event", "others"}, ("syntax error",)),
    "a mapping of an undefined macro": (
        f"{MAPPING}.sql",
        "select {{ nothing() }}",
        {"base_event", "others"},
        ("'nothing' is undefined",),
    ),
    "a view that is no SQL": (
        f"models/events/{okta_logs.SOURCE}.sql",
        "selec 1 from {{ ref('stg_okta__system_log') }}",
        set(),
        (f"reads {okta_logs.SOURCE}, ", f"models/events/{okta_logs.SOURCE}.sql", "syntax error"),
    ),
    "a view of an undefined macro": (
        STAGING,
        "select {{ nothing() }} from {{ source('bronze', 'okta_system_log') }}",
        set(),
        ("reads stg_okta__system_log, ", f"/{STAGING}: 'nothing' is undefined"),
    ),
    "rows of the routes": (
        "seeds/ocsf_routing.csv",
        "source,event_type,class_uid,activity_id,note\n"
        f"{okta_logs.SOURCE},{okta_logs.SIGN_IN},3002,1,\n"
        f"{okta_logs.SOURCE},{okta_logs.UNROUTED},9999,,\n"
        f"{okta_logs.SOURCE},short\n",
        {"authentication", "base_event", *MARTS},
        ("ocsf_routing.csv: line 3 class_uid '9999' is no class", "line 4 has 2 values", "they are left out"),
    ),
    "a mart that is no SQL": (
        MART,
        "selec 1 from {{ ref('authentication__okta_system_log') }}",
        {"authentication", "base_event", "others"},
        ("signins: ", "syntax error", "later: reads signins, "),
    ),
    "a mart of nothing": (
        MART,
        "select 1 from {{ ref('authenticatoin') }}",
        {"authentication", "base_event", "others"},
        ("/models/gold/signins.sql: ", "'authenticatoin' which was not found"),
    ),
}


@pytest.mark.parametrize("kind", mostly_in_storms(AT_RUN, RUN))
def test_the_rest_is_built(kind: str, copied: Path, build: Callable[[], tuple[set[str], str]]) -> None:
    file, contents, built, said = AT_RUN[kind]
    write(copied, file, contents)
    published, err = build()
    assert built == published
    for each in said:
        assert each in err
    if file.startswith("seeds/"):
        warn_once.cache_clear()
        published, err = build()  # nothing is stale now: the same is told, and the command ends the same
        assert said[0] in err and "are left out" in err


def test_published_rows_stay_and_their_hours_are_stale(copied: Path, build: Callable[[], tuple[set[str], str]]) -> None:
    whole = {"authentication", "base_event", *MARTS}
    assert (whole, True) == ((first := build())[0], "error:" not in first[1])
    texts = {file: (copied / file).read_text() for file in (f"{MAPPING}.sql", MART)}
    for file in texts:
        write(copied, file, "select {{ nothing( }}")
    published, err = build()
    assert whole == published and err.count("unexpected '}'") >= 2
    for file, text in texts.items():
        write(copied, file, text)
    assert (whole, True) == ((last := build())[0], "error:" not in last[1])
