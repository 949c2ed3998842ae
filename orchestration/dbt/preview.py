"""Trying a model over one event hour: what it makes, the rules that break, what differs from what is published.

Nothing is published: rows lie in a temporary folder of this machine, and the lake is only read.
"""

import re
import tempfile
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec

from lake import ledger
from lake.base.errors import WRONG_CALL, HeadwaterError
from lake.base.sql import literal
from lake.build.run import Plan, Trial, landed_hours
from lake.ledger import build_receipts
from lake.marts.staleness import Tables
from lake.query.compare import Difference, compare
from lake.storage import duck
from lake.storage.paths import GOLD, OUTCOMES, SILVER
from lake.storage.store import Store
from orchestration.dbt.project import Project, load_project
from orchestration.dbt.request import Request
from orchestration.dbt.run import BuildFailed, Tested, Told, run_dbt, run_tests
from orchestration.settings import Settings
from orchestration.steps.products import load_product

_PLACE = re.compile(r"(?m)^ *(Compilation|Runtime|Database) Error in \w+ \S+ \(\S+\) *\n?")
_ADVICE = re.compile(r" > in macro .*| This can happen when calling a macro that does not exist.*")
_EVENT_KEY = ("metadata.uid",)


class WrongName(HeadwaterError):
    """A model or an hour that there is not; the message names those that are near."""

    exit_code = WRONG_CALL


class ModelFailed(HeadwaterError):
    """A model that cannot be parsed or run; the message is dbt's, shortened."""


class Broken(msgspec.Struct, frozen=True):
    """A rule that rows break: how many rows, or what the rule's query found, and `metadata.uid` of one."""

    rule: str
    found: Any
    sample: str = ""


class Preview(msgspec.Struct, frozen=True):
    """What a model made of an hour. `difference` is None for a view, of which nothing is published.

    `published` says whether the hour was ever published. `rows` has as many rows as were asked for.
    """

    model: str
    hour: str
    made: int
    published: bool
    broken: list[Broken]
    difference: Difference | None
    rows: list[dict[str, Any]]


def preview(
    settings: Settings,
    store: Store,
    name: str,
    hour: str = "",
    source: str = "",
    rows: int = 0,
    told: Told = lambda what, done, of: None,
) -> Preview:
    """Build one model over one hour, by default the newest, into a temporary folder; compare it with what is published.

    `told` gets which step is done, its number, and how many there are.

    Raises:
        WrongName: there is no such model, or nothing has landed in this hour.
        ModelFailed: the model cannot be parsed or run.
    """
    told("reading the dbt project: step", 2, 4)
    project = _parsed_project()
    unique_id = _model(project, name, source)
    model = project.name(unique_id)
    plan, hour = _plan(store, project, unique_id, hour)
    told(" ".join(("building", model, hour)).rstrip() + ": step", 3, 4)
    with tempfile.TemporaryDirectory(prefix="headwater-preview-") as folder:
        trial = Trial(Path(folder))
        try:
            failures = run_dbt(Request(settings, store, project, plan, trial), (model,))
        except BuildFailed as problem:
            failures = problem.failures
        if failures:
            raise ModelFailed(f"{model}: {_point(next(iter(failures.values())))}")
        told("holding its rows against rules and what is published: step", 4, 4)
        return _look(settings, store, project, unique_id, hour, trial, rows)


def run_unit_tests(
    settings: Settings, store: Store, name: str, source: str = "", told: Told = lambda what, done, of: None
) -> list[Tested]:
    """Run the unit tests of a model, or of all mappings of a class; by test how it ended.

    `told` gets how many tests of how many have ended.

    Raises:
        WrongName: there is no such model.
        ModelFailed: the project cannot be parsed, or dbt failed before the first test.
    """
    told("reading the dbt project: step", 2, 3)
    project = _parsed_project()
    models = find_models(project, name, source)
    with tempfile.TemporaryDirectory(prefix="headwater-test-") as folder:
        try:
            return run_tests(Request(settings, store, project, Plan(), Trial(Path(folder))), models, told)
        except BuildFailed as problem:
            raise ModelFailed(_point(problem.failures["dbt"])) from None


def find_models(project: Project, name: str, source: str = "") -> list[str]:
    """Return the names of the models that a name means: itself, or the mappings of a class, of one source if given.

    Raises:
        WrongName: there is no such model; the message names those that are near.
        ModelFailed: the file of the model cannot be parsed.
    """
    names = [project.name(each) for each in project.models]
    mappings = [each for each in names if each.startswith(f"{name}__")]
    if source:
        mappings = [each for each in mappings if each == f"{name}__{source}"]
    if mappings:
        return mappings
    if name in names and (not source or name.endswith(source)):
        return [name]
    wanted = f"{name}__{source}" if source else name
    for path, why in project.broken_files.items():
        if Path(path).stem == wanted:
            raise ModelFailed(f"{path}: {_point(why)}")
    near = get_close_matches(wanted, names, n=3, cutoff=0.5) or sorted(each for each in names if name in each)[:3]
    raise WrongName(f"there is no model {wanted}" + (f"; near it: {', '.join(near)}" if near else ""))


def _parsed_project() -> Project:
    project = load_project()
    if not project.current:
        raise ModelFailed(_point(project.problem))
    return project


def _model(project: Project, name: str, source: str) -> str:
    found = find_models(project, name, source)
    if len(found) > 1:
        raise WrongName(f"{name} has several mappings: name one, or its source with --source: {', '.join(found)}")
    unique_id = next(each for each in project.models if project.name(each) == found[0])
    if project.manifest["nodes"][unique_id]["config"]["materialized"] == "ephemeral":
        raise WrongName(f"{name} is a part of the SQL of the models that read it: preview one of them")
    return unique_id


def _plan(store: Store, project: Project, unique_id: str, hour: str) -> tuple[Plan, str]:
    """Return the plan of one hour, and the hour. A view over tables sees silver of the hour alone, and all of gold."""
    model = project.name(unique_id)
    if project.is_mart(unique_id):
        mart = project.marts.by_name[model]
        slot = _checked_hour(model, mart.slot_of(hour) if hour else "", Tables(store).hours(mart))
        return Plan(marts={model: (slot,)}), slot
    layer = project.layer(unique_id)
    if layer == GOLD or (layer == SILVER and project.is_view(unique_id)):
        return Plan(silver_hour=hour), hour
    (source,) = project.sources_read(unique_id)
    hour = _checked_hour(source, hour, landed_hours(store, source))
    return Plan({source: (hour,)}), hour


def _checked_hour(name: str, hour: str, hours: Iterable[str]) -> str:
    known = sorted(hours)
    if not known:
        raise WrongName(f"{name}: nothing has landed of which it could be built")
    if not hour:
        return known[-1]
    if hour not in known:
        near = [*[each for each in known if each < hour][-1:], *[each for each in known if each > hour][:1]]
        span = f"there are {len(known):,} hours from {known[0]} to {known[-1]}; near it: {' and '.join(near)}"
        raise WrongName(f"{name}: nothing of the hour {hour} has landed; {span}")
    return hour


def _look(
    settings: Settings, store: Store, project: Project, unique_id: str, hour: str, trial: Trial, rows: int
) -> Preview:
    model = project.name(unique_id)
    with duck.connect(store, {"memory_limit": f"{settings.memory_bytes}B", "threads": settings.threads}) as con:
        con.execute("set temp_directory = " + literal(str(trial.path / "spill")))
        if project.is_view(unique_id):
            after = f"select * from read_parquet({literal(str(trial.path / f'{model}.rows' / 'rows.parquet'))})"
            return Preview(model, hour, _count(con, after), False, [], None, _first(con, after, rows))
        receipt = next((each for each in trial.receipts[model] if each.hour == hour), None)
        broken = (
            [Broken(each, n, receipt.samples.get(each, "")) for each, n in receipt.invalid.items()] if receipt else []
        )
        before = build_receipts.day_of(store, model, ledger.hour(hour).date()).get(hour)
        mine = trial.files(model) or []
        theirs = [store.url(before.file)] if before and before.file else []
        old, new = _rows_of([*theirs], [*mine]), _rows_of([*mine], [*theirs])
        broken += _broken_promises(con, project, model, new) if mine else []
        difference = compare(con, old, new, _key(project, unique_id, con, (old, new)))
        made = _first(con, new, rows)
    return Preview(model, hour, difference.after, before is not None, broken, difference, made)


def _rows_of(files: Sequence[str], others: Sequence[str]) -> str:
    """Return a SELECT over some files; without any, one of no rows with the columns of others."""
    listed = ", ".join(map(literal, files or others))
    if not listed:
        return "select null::varchar as _event_key where false"
    return f"select * from read_parquet([{listed}], hive_partitioning = false)" + ("" if files else " where false")


def _key(project: Project, unique_id: str, con: Any, sides: Sequence[str]) -> tuple[str, ...]:
    """Return by which columns a row is known: those of the event, or what a mart declares, if they tell rows apart."""
    model = project.name(unique_id)
    held = set(con.sql(f"select * from ({sides[1]}) limit 0").columns)
    if model.startswith(f"{OUTCOMES}__"):
        return tuple(name for name in ("_batch", "_source_object", "_source_row") if name in held)
    if "metadata" in held:
        return _EVENT_KEY
    declared = project.marts.by_name[model].content if project.is_mart(unique_id) else ()
    key = tuple(name for name in declared if name in held)
    names = ", ".join(f'"{name}"' for name in key)
    unique = key and all(
        con.execute(f"select count(*) = count(distinct row({names})) from ({side})").fetchone()[0] for side in sides
    )
    return key if unique else ()


def _broken_promises(con: Any, project: Project, model: str, rows: str) -> list[Broken]:
    """Return the rules of a data product's contract that do not hold of some rows."""
    file = project.folder / "products" / f"{model}.odcs.yaml"
    if not file.exists():
        return []
    from orchestration.steps.products import product_checks

    checked = product_checks(con, load_product(file), f"({rows})")
    return [Broken(each.rule.name, each.found) for each in checked if not each.holds]


def _count(con: Any, sql: str) -> int:
    return int(con.execute(f"select count(*) from ({sql})").fetchone()[0])


def _first(con: Any, sql: str, rows: int) -> list[dict[str, Any]]:
    if rows <= 0:
        return []
    found = con.execute(f"select * from ({sql}) limit {int(rows)}")
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def _point(message: str) -> str:
    """Return what dbt says of a failure, without the model's place and where it was called from."""
    text = _PLACE.sub("", message)
    lines = [line.strip() for line in text.splitlines()]
    kept = [line for line in lines if line and not line.startswith((">", "compiled code at", "called by"))]
    return _ADVICE.sub("", "\n  ".join(kept[:6]))
