"""Building: what is stale becomes current, by one dbt run in this process.

What belongs here: choosing hours and models, running dbt with a plan, telling what failed. What does not: SQL,
files of the lake (`lake.build.run`), Dagster (which runs the same dbt project as assets).
"""

import os
import re
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from lake import ledger
from lake.base.errors import HeadwaterError
from lake.build.mapping import Mappings
from lake.build.run import Plan, retire
from lake.ledger.staleness import Stale, bronze_inputs, stale_hours
from lake.marts.staleness import Tables, may_become_stale, stale_mart
from lake.matching.matches import TABLE as MATCHES
from lake.storage.publish import sweep
from lake.storage.store import Store
from orchestration.settings import FILE_VARIABLE, PROJECT, config_file, load_settings

PLAN_VARIABLE = "HEADWATER_PLAN"
_TRIES = 3
_BRONZE_KEY = re.compile(r"bronze/\w+/date=[\d-]{10}/hour=\d\d/[^/\s\"']+\.parquet")


class BuildFailed(HeadwaterError):
    """Some models could not be built; the others are. What failed stays stale, and its rows stay in bronze."""

    def __init__(self, failures: Mapping[str, str]) -> None:
        self.failures = dict(failures)
        lines = "\n".join(f"  {model}: {why}" for model, why in self.failures.items())
        super().__init__(
            f"{len(self.failures)} models failed (their events are in bronze, the hours stay stale):\n{lines}"
        )


@dataclass
class Built:
    """What a build did: event hours by source and by mart, and the models that ran."""

    hours: dict[str, tuple[str, ...]] = field(default_factory=dict)
    marts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    models: tuple[str, ...] = ()
    failures: dict[str, str] = field(default_factory=dict)


def build(
    store: Store,
    sources: Iterable[str],
    first: str | None = None,
    last: str | None = None,
    again: bool = False,
    quiet: bool = True,
    only: Collection[str] | None = None,
) -> Built:
    """Build what is stale, of the event hours from `first` to `last` (both included) when given; all with `again`.

    With `only`, of these hours alone. Marts follow the tables that they read, whichever of their hours look at them.

    Raises:
        BuildFailed: some models failed. The rest is published.
    """
    sweep(store)
    mappings = Mappings(PROJECT)
    done = Built()
    sources = tuple(sources)
    for source in sources:
        _retire_removed(store, mappings, source)
    for models, hours in _groups(store, mappings, sources, first, last, again, only):
        done.failures.update(_failures(store, models, hours, quiet))
        done.models = tuple(sorted({*done.models, *models}))
        for source, found in hours.items():
            done.hours[source] = tuple(sorted({*done.hours.get(source, ()), *found}))

    def wanted(hour: str) -> bool:
        return (not first or hour >= first) and (not last or hour <= last)

    _build_marts(store, mappings, done, wanted, again, quiet)
    if done.failures:
        raise BuildFailed(done.failures)
    return done


def _build_marts(
    store: Store, mappings: Mappings, done: Built, wanted: Callable[[str], bool], again: bool, quiet: bool
) -> None:
    """Build the stale hours of all marts in one dbt run, which orders them."""
    for model in ledger.built_models(store):
        if "__" not in model and model not in mappings.marts.by_name and model != MATCHES:
            retire(store, model)
    hours = planned_marts(store, mappings, wanted, again)
    if not hours:
        return
    before = {mart: ledger.builds(store, mart) for mart in hours}
    try:
        done.failures.update(run_dbt(tuple(hours), Plan(marts=hours, if_stale=not again), quiet=quiet))
    except BuildFailed as problem:
        done.failures.update(problem.failures)
    done.models = tuple(sorted({*done.models, *hours}))
    for mart, receipts in before.items():
        news = [hour for hour, each in ledger.builds(store, mart).items() if receipts.get(hour) != each]
        if news:
            done.marts[mart] = tuple(sorted(news))


def planned_marts(
    store: Store, mappings: Mappings, wanted: Callable[[str], bool] = lambda _: True, again: bool = False
) -> dict[str, tuple[str, ...]]:
    """Return, by mart, the hours that are stale or may become so while those that they look back to are built.

    With `again`, all hours that they have something to read of.
    """
    tables = Tables(store)
    planned: dict[str, tuple[str, ...]] = {}
    for name in (name for level in mappings.marts.levels for name in level):
        mart = mappings.marts.by_name[name]
        hours = {each.hour for each in stale_mart(store, mappings, mart, tables)}
        hours |= may_become_stale(mart, tables, planned) | (tables.hours(mart) if again else set())
        if chosen := tuple(sorted(filter(wanted, hours))):
            planned[name] = chosen
    return planned


def _failures(store: Store, models: Sequence[str], hours: Mapping[str, tuple[str, ...]], quiet: bool) -> dict[str, str]:
    """Run models; return those that failed. They run again when files that they read were merged or replaced."""
    for tries_left in reversed(range(_TRIES)):
        try:
            failures = run_dbt(models, Plan(hours), quiet=quiet)
        except BuildFailed as problem:  # dbt itself; the other runs are tried all the same
            failures = problem.failures
        if not tries_left or not _gone(store, failures):
            break
    return failures


def _gone(store: Store, failures: Mapping[str, str]) -> bool:
    """Return whether a model failed over a bronze file that is no longer there."""
    named = {key for why in failures.values() for key in _BRONZE_KEY.findall(unquote(why))}
    return any(held is None for held in store.infos(sorted(named)).values())


def tables_of(source: str) -> list[str]:
    """Return the names of the models that build the hours of a source."""
    return Mappings(PROJECT).models_of(source)


def unbuilt_hours(store: Store, source: str) -> set[str]:
    """Return the event hours of a source that wait to be built."""
    return {each.hour for each in stale_hours(store, Mappings(PROJECT), source)}


def _retire_removed(store: Store, mappings: Mappings, source: str) -> None:
    held = set(mappings.models_of(source))
    for model in ledger.built_models(store):
        if model.endswith(f"__{source}") and model not in held:
            retire(store, model)


def run_dbt(models: Sequence[str], plan: Plan, quiet: bool = True) -> dict[str, str]:
    """Run models over the hours of a plan in one dbt run; return the failed ones with their first error line."""
    from dbt.cli.main import dbtRunner  # dbt takes seconds to import; only those who build wait for it

    from orchestration.dbt.plugin import end_runs

    words = [
        "run",
        "--project-dir",
        str(PROJECT),
        "--profiles-dir",
        str(PROJECT),
        "--select",
        " ".join(models),
        # Nobody reads manifest and debug log: each a tenth of an empty run in a profile. Errors come back as results.
        "--no-write-json",
        "--log-level-file",
        "none",
        "--no-populate-cache",
    ]
    if quiet:
        words += ["--log-level", "none"]  # what failed is told by its results
    with planned(plan):
        try:
            outcome = dbtRunner().invoke(words)
        finally:
            end_runs()
    if outcome.exception is not None:
        raise BuildFailed({"dbt": str(outcome.exception).strip()})
    results = getattr(outcome.result, "results", [])
    return {
        result.node.name: _first_lines(result.message)
        for result in results
        if str(result.status) in ("error", "fail", "skipped", "runtime error")
    }


@contextmanager
def planned(plan: Plan) -> Iterator[Path]:
    """Put a plan where the dbt run looks for it; yield its file.

    dbt changes into its project's folder, so what was relative to this one is made absolute for it.
    """
    here, file = Path.cwd(), config_file()
    with tempfile.TemporaryDirectory(prefix="headwater-") as folder:
        path = Path(folder) / "plan.json"
        path.write_text(plan.to_json())
        given = {PLAN_VARIABLE: str(path), "HEADWATER_LAKE": load_settings().lake, "DBT_PROJECT_DIR": str(PROJECT)}
        if file is not None:
            given[FILE_VARIABLE] = str(file.resolve())
        before = {name: os.environ.get(name) for name in given}
        os.environ.update(given)
        try:
            yield path
        finally:
            os.chdir(here)
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


def _groups(
    store: Store,
    mappings: Mappings,
    sources: Iterable[str],
    first: str | None,
    last: str | None,
    again: bool,
    only: Collection[str] | None,
) -> list[tuple[tuple[str, ...], dict[str, tuple[str, ...]]]]:
    """Return (models, hours by source) of the dbt runs that are needed: hours that need the same models go together."""
    by_models: dict[tuple[str, ...], list[str]] = {}
    of_source: dict[tuple[str, ...], str] = {}
    for source in sources:
        for each in _wanted(store, mappings, source, again):
            in_range = (first is None or each.hour >= first) and (last is None or each.hour <= last)
            if in_range and (only is None or each.hour in only):
                by_models.setdefault(each.models, []).append(each.hour)
                of_source[each.models] = source
    whole = {
        models: hours
        for models, hours in by_models.items()
        if set(models) == set(mappings.models_of(of_source[models]))
    }
    runs = []
    if whole:
        runs.append(
            (
                tuple(model for models in whole for model in models),
                {of_source[models]: tuple(hours) for models, hours in whole.items()},
            )
        )
    for models, hours in by_models.items():
        if models not in whole:
            runs.append((models, {of_source[models]: tuple(hours)}))
    return runs


def _wanted(store: Store, mappings: Mappings, source: str, again: bool) -> list[Stale]:
    if not again:
        return stale_hours(store, mappings, source)
    models = tuple(mappings.models_of(source))
    return [Stale(source, hour, models, "asked for") for hour in bronze_inputs(ledger.landings(store, source))]


def _first_lines(message: str | None) -> str:
    lines = [line.strip() for line in (message or "").splitlines() if line.strip()]
    return " ".join(lines[:3])[:500]
