"""What an edit of the dbt project makes stale: the tables that are made of what was edited, and no other.

The edits are made in the manifest, as `dbt parse` would find them; that dbt's own manifest says so after an edit of a
file is tried once (`test_an_edited_file_is_parsed_again`).
"""

import copy
import csv
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lake.ocsf.context import entities
from orchestration.dbt.project import Project, load_project
from orchestration.settings import PROJECT

Edit = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def project() -> Project:
    return load_project()


def made_stale(project: Project, edit: Edit, folder: Path = PROJECT) -> set[str]:
    manifest = copy.deepcopy(dict(project.manifest))
    edit(manifest)
    before, after = project.mappings.fingerprints, Project(folder, manifest, current=False).mappings.fingerprints
    return {name for name in before if before[name] != after[name]}


def macro(name: str, text: str = " edited") -> Edit:
    def edit(manifest: dict[str, Any]) -> None:
        manifest["macros"][f"macro.headwater.{name}"]["macro_sql"] += text

    return edit


def model(name: str, text: str = " edited") -> Edit:
    def edit(manifest: dict[str, Any]) -> None:
        manifest["nodes"][f"model.headwater.{name}"]["raw_code"] += text

    return edit


def meta(name: str, **more: object) -> Edit:
    return lambda manifest: manifest["nodes"][f"model.headwater.{name}"]["config"]["meta"].update(more)


def of(project: Project, *sources: str, dispositions: bool = True) -> set[str]:
    found = {name for source in sources for name in project.mappings.models_of(source)}
    return {name for name in found if dispositions or not name.startswith("dispositions__")}


def everything(project: Project) -> set[str]:
    return {*project.mappings.fingerprints}


def reading(project: Project, *views: str) -> set[str]:
    """Return the marts that read something through views."""
    wanted = {f"model.headwater.{view}" for view in views}
    return {mart for mart in project.marts.by_name if wanted & _above(project, mart)}


def _above(project: Project, mart: str) -> set[str]:
    found, waiting = set(), [f"model.headwater.{mart}"]
    while waiting:
        for each in project.manifest["parent_map"][waiting.pop()]:
            if each not in found:
                found.add(each)
                waiting += [each] if project.is_view(each) else []
    return found


def test_a_mapping_makes_stale_itself_alone(project: Project) -> None:
    assert made_stale(project, model("account_change__okta_system_log")) == {"account_change__okta_system_log"}


def vendor_macros() -> list[tuple[str, str]]:
    """Return the macros that lie in a file named after a source, with the source."""
    manifest = load_project().manifest
    sources = {each["name"] for each in manifest["sources"].values() if each["source_name"] == "bronze"}
    held = [(Path(each["original_file_path"]).stem, each) for each in manifest["macros"].values()]
    return [
        (each["name"], source) for source, each in held if each["package_name"] == "headwater" and source in sources
    ]


def test_a_macro_of_one_vendor_makes_that_vendor_stale_alone(project: Project) -> None:
    """All macros of a vendor are edited at once; each alone makes stale the tables that are made of it."""
    found = vendor_macros()
    for source in {source for _, source in found}:
        names = [name for name, of_source in found if of_source == source]
        stale = made_stale(project, lambda manifest, names=names: [macro(name)(manifest) for name in names])
        assert stale and stale <= of(project, source)
    parts = project.mappings.parts
    for name, source in {source: (name, source) for name, source in found}.values():
        callers = {table for table in parts if f"macro {name}" in parts[table]}
        assert made_stale(project, macro(name)) == callers <= of(project, source)


def test_a_macro_that_nothing_calls_makes_nothing_stale(project: Project) -> None:
    def unused(manifest: dict[str, Any]) -> None:
        added = copy.deepcopy(manifest["macros"]["macro.headwater.lake_call"])
        manifest["macros"]["macro.headwater.nobody"] = added | {"unique_id": "macro.headwater.nobody"}

    assert made_stale(project, unused) == set()
    assert made_stale(project, macro("ocsf_types")) == set()


@pytest.mark.parametrize(
    "name", ["materialization_lake_partition_duckdb", "lake_copy", "lake_rule_breaks", "lake_setup", "lake_stand_in"]
)
def test_what_runs_every_table_makes_all_stale(project: Project, name: str) -> None:
    """The materialization and the hook of a run are called by dbt itself, and call others."""
    assert made_stale(project, macro(name)) == everything(project)


def test_views_that_are_kept_count_for_who_reads_them(project: Project) -> None:
    """`materialization_view_duckdb` makes the events that mappings select from."""
    stale = made_stale(project, macro("materialization_view_duckdb"))
    assert of(project, "okta_system_log", "windows_event") <= stale


def test_context_makes_stale_what_is_enriched(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Context is SQL that `lake/ocsf` makes, for whatever a row may have; every class has an actor."""
    before = project.mappings.fingerprints
    identities = entities.TABLES["identities"]
    monkeypatch.setitem(entities.TABLES, "identities", replace(identities, data=f"upper({identities.data})"))
    after = Project(PROJECT, project.manifest, current=False).mappings.fingerprints
    dispositions = {name for name in before if name.startswith("dispositions__")}
    stale = {name for name in before if before[name] != after[name]}
    assert stale == everything(project) - dispositions - project.marts.by_name.keys()


def test_a_class_that_is_declared_otherwise_makes_its_tables_stale(project: Project) -> None:
    """`ocsf_type__<class>` is called by a name that is put together; marts of the class follow as well."""
    findings = {name for name in everything(project) if name.startswith("detection_finding__")}
    marts = {name for name, mart in project.marts.by_name.items() if mart.ocsf_class == "detection_finding"}
    assert marts
    assert made_stale(project, macro("ocsf_type__detection_finding")) == findings | marts


def test_routing_macros_make_every_source_stale_but_no_mart(project: Project) -> None:
    stale = made_stale(project, macro("routes"))
    assert stale == everything(project) - project.marts.by_name.keys()


def test_staging_and_events_make_their_source_stale(project: Project) -> None:
    assert made_stale(project, model("stg_okta__system_log")) == of(project, "okta_system_log")
    assert made_stale(project, model("okta_system_log")) == of(project, "okta_system_log")


def test_a_class_view_makes_the_marts_stale_that_read_it(project: Project) -> None:
    stale = made_stale(project, model("authentication"))
    assert stale and stale == reading(project, "authentication")


def test_what_decides_no_row_makes_nothing_stale(project: Project) -> None:
    exported = meta("authentication__okta_system_log", exports=[{"destinations": ["x"]}], owner="o")
    assert made_stale(project, exported) == set()

    def described(manifest: dict[str, Any]) -> None:
        for node in (*manifest["nodes"].values(), *manifest["sources"].values()):
            node["description"] = "edited"

    assert made_stale(project, described) == set()


COMMENTS = "\n\n -- it's a comment, {# and #} another\n/* and {# one #} /* more */ */\n  "


def test_comments_and_white_space_make_nothing_stale(project: Project) -> None:
    def everywhere(manifest: dict[str, Any]) -> None:
        for node in manifest["nodes"].values():
            node["raw_code"] = f"{COMMENTS}{node.get('raw_code', '')}{COMMENTS}"
        for name in [each["name"] for each in manifest["macros"].values() if each["package_name"] == "headwater"]:
            macro(name, "{#- it's a comment, -- and no SQL -#}")(manifest)

    assert made_stale(project, everywhere) == set()
    assert made_stale(project, macro("materialization_lake_partition_duckdb", COMMENTS)) == set()


def test_a_part_of_a_text_literal_is_read_as_it_stands(project: Project) -> None:
    """A macro that gives what stands within quotes: dashes are no comment there. Jinja's comments are."""

    def worded(words: str) -> Edit:
        def edit(manifest: dict[str, Any]) -> None:
            macro("lake_call", words)(manifest)
            model("authentication__okta_system_log", "\n-- '{{ lake_call() }}'")(manifest)
            manifest["nodes"]["model.headwater.base_event__okta_system_log"]["raw_code"] += "'{{ lake_call() }}'"

        return edit

    manifests = [copy.deepcopy(dict(project.manifest)) for _ in range(3)]
    for manifest, words in zip(manifests, (" -- dashes", " -- others", " -- dashes{# a comment #}"), strict=True):
        worded(words)(manifest)
    dashes, others, comment = (
        Project(PROJECT, manifest, current=False).mappings.fingerprints for manifest in manifests
    )
    assert dashes != others and dashes == comment


def test_a_source_that_is_added_makes_no_other_stale(project: Project, tmp_path: Path) -> None:
    """Its views, mappings and routes are its own; of the others' it touches class views and what is generated."""
    for part in ("seeds", "ocsf"):
        shutil.copytree(PROJECT / part, tmp_path / part)
    with (tmp_path / "seeds/ocsf_routing.csv").open("a") as file:
        csv.writer(file).writerow(["new_log", "some.event", "3002", "1", ""])

    def add(manifest: dict[str, Any]) -> None:
        nodes, sources, package = manifest["nodes"], manifest["sources"], "headwater"
        for held in (nodes, sources):
            for each in [each for each in held if "okta" in each and not each.startswith("seed.")]:
                new = each.replace("okta_system_log", "new_log").replace("stg_okta__system_log", "stg_new__log")
                text = json.dumps(held[each]).replace("okta_system_log", "new_log")
                held[new] = json.loads(text.replace("stg_okta__system_log", "stg_new__log"))
        for view in [each for each in nodes if f"model.{package}.{each.rsplit('.')[-1]}__new_log" in nodes]:
            table = f"{nodes[view]['name']}__new_log"
            nodes[view]["raw_code"] = nodes[view]["raw_code"].replace("([", f'([\n    ref("{table}"),')
            nodes[view]["depends_on"]["nodes"].append(f"model.{package}.{table}")
        macro("bronze_types")(manifest)

    manifest = copy.deepcopy(dict(project.manifest))
    add(manifest)
    after = Project(tmp_path, manifest)
    assert set(after.mappings.models_of("new_log")) == {
        name.replace("okta_system_log", "new_log") for name in of(project, "okta_system_log")
    }
    assert 'ref("authentication__new_log")' in manifest["nodes"]["model.headwater.authentication"]["raw_code"]
    assert made_stale(project, add, tmp_path) == set()


def test_a_class_view_that_is_more_than_its_sources_counts(project: Project) -> None:
    def narrowed(manifest: dict[str, Any]) -> None:
        view = manifest["nodes"]["model.headwater.authentication"]
        view["raw_code"] = view["raw_code"].replace("union_sources", "other_union")

    assert made_stale(project, narrowed) == reading(project, "authentication")


def test_a_field_of_a_contract_makes_its_source_stale(project: Project) -> None:
    """`bronze_types`, which the hook calls, has the fields of all sources; those of the own one count."""

    def field(manifest: dict[str, Any]) -> None:
        manifest["sources"]["source.headwater.bronze.okta_system_log"]["columns"]["new"] = {"data_type": "VARCHAR"}
        macro("bronze_types")(manifest)

    assert made_stale(project, field) == of(project, "okta_system_log")

    def volatile(manifest: dict[str, Any]) -> None:
        manifest["sources"]["source.headwater.bronze.okta_system_log"]["config"]["meta"]["volatile"] = ["debugContext"]

    assert made_stale(project, volatile) == of(project, "okta_system_log")


def test_a_route_makes_its_source_stale_and_a_seed_who_reads_it(project: Project, tmp_path: Path) -> None:
    def with_row(seed: str, *row: str) -> set[str]:
        folder = tmp_path / seed
        for part in ("seeds", "ocsf"):
            shutil.copytree(PROJECT / part, folder / part)
        with (folder / "seeds" / f"{seed}.csv").open("a") as file:
            csv.writer(file).writerow(row)
        return made_stale(project, lambda _: None, folder)

    assert with_row("ocsf_routing", "okta_system_log", "some.event", "3002", "1", "") == of(project, "okta_system_log")
    notes = (PROJECT / "seeds/ocsf_routing.csv").read_text().replace("sign-in to the org", "another note")
    assert notes != (PROJECT / "seeds/ocsf_routing.csv").read_text()
    head, *rows = notes.splitlines()
    for part in ("seeds", "ocsf"):
        shutil.copytree(PROJECT / part, tmp_path / "noted" / part)
    (tmp_path / "noted/seeds/ocsf_routing.csv").write_text("\n".join([head, *sorted(rows)]) + "\n")
    assert made_stale(project, lambda _: None, tmp_path / "noted") == set(), "notes and the order of rows do not count"
    assert with_row("okta_verbs", "frobnicate", "3") == {"api_activity__okta_system_log"}
    marts = {mart for mart in project.marts.by_name if "seed.headwater.signal_factors" in _above(project, mart)}
    assert marts and with_row("signal_factors", "x", "1", "y", "1", *["z"] * 7) == marts


def test_no_macro_is_called_in_a_way_that_is_not_known() -> None:
    """A name that is put together is not in the manifest: see what `orchestration.dbt.fingerprints` says of them."""
    found = {
        (file.name, line.strip())
        for file in PROJECT.glob("macros/**/*.sql")
        for line in file.read_text().splitlines()
        if "context[" in line or "adapter.dispatch" in line or "context.get" in line
    }
    assert found == {("ocsf_event.sql", '{{ return(context["ocsf_type__" ~ class_name]()) }}')}
    conditional = [file.name for file in PROJECT.glob("models/**/*.sql") if "if execute" in file.read_text()]
    assert conditional == [], "what a model calls only when it runs is not in the manifest"


def test_an_edited_file_is_parsed_again(okta_project: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(okta_project, tmp_path / "project"))
    before = load_project(folder).mappings.fingerprints
    name = next(name for name, source in vendor_macros() if source == "okta_system_log")
    file = folder / "macros/okta_system_log.sql"
    file.write_text(re.sub(rf"(macro {name}\([^%]*?%\}})", r"\1{% set edited = true %}", file.read_text()))
    (folder / "models/silver/authentication/authentication__okta_system_log.yml").write_text(
        "models: [{name: authentication__okta_system_log, description: edited}]"
    )
    after = load_project(folder).mappings
    made_of = {table for table, parts in after.parts.items() if f"macro {name}" in parts}
    assert made_of and {each for each in before if before[each] != after.fingerprints[each]} == made_of


def test_fingerprints_are_those_of_an_equal_project_elsewhere(okta_project: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(okta_project, tmp_path / "project", ignore=shutil.ignore_patterns("target")))
    assert load_project(folder).mappings == load_project(okta_project).mappings
