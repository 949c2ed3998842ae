"""Building: what is stale becomes current, by dbt in this process. Commands and Dagster's assets run dbt by this."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any
from urllib.parse import unquote

from lake.base.errors import HeadwaterError, warn_once
from lake.build.memory import BuildMemory
from lake.build.reasons import Due, due, removed_marts, removed_models, stale_or_all
from lake.build.run import Plan, retire
from lake.build.unprocessable import Unprocessable
from lake.ledger import build_receipts, landings
from lake.ledger.staleness import Mappings, stale_hours
from lake.marts.staleness import planned
from lake.storage.publish import sweep
from lake.storage.store import Store
from orchestration.dbt.broken import one_line
from orchestration.dbt.failing_hours import Ran, in_sentences, known_kept_out, without_failing_records
from orchestration.dbt.invoke import invoke
from orchestration.dbt.project import Project, load_project
from orchestration.dbt.request import Repaired, Request, requested
from orchestration.settings import Settings

Told = Callable[[str, int, int], None]  # what is done, how much of it, of how much

_TRIES = 3
_OUT_OF_MEMORY = "Out of Memory"
_FAILED = ("error", "fail", "runtime error")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_BRONZE_KEY = re.compile(r"bronze/\w+/date=[\d-]{10}/hour=\d\d/[^/\s\"']+\.parquet")


# What the SQL of a model takes, whatever its rows, is the most: of GuardDuty findings 400 MiB of DuckDB's memory.
_ENOUGH = 768 << 20
# Measured peaks of an hour of 34,000 Windows events: 528 to 568 MiB of 512MiB, 510 of 576MiB, 535 of 640MiB.
_KEPT_FROM, _MANY_ROWS = 640 << 20, 10_000


def _too_little(memory: int) -> str:
    known = "an hour of 34,000 Windows events, or of 34,000 CloudTrail events, was built with 768MiB"
    what = f"set `memory: {_ENOUGH >> 20}MiB`" if memory < _ENOUGH else "double it until they are built"
    return f"  `memory: {memory >> 20}MiB` is too little for these hours: {what} ({known})"


def _more_than_set(store: Store, memory: int, wanted: Mapping[tuple[str, tuple[str, ...]], Collection[str]]) -> str:
    """Return, in a sentence, that an hour may take more than the setting, and what is enough; "" where it holds."""
    if memory >= _KEPT_FROM:
        return ""
    for source in dict.fromkeys(source for source, _ in wanted):
        hours, rows = {hour for (of, _), found in wanted.items() if of == source for hour in found}, Counter[str]()
        for receipt in landings(store, source, []):
            rows.update({mark.hour: mark.rows for mark in receipt.files if mark.hour in hours})
        for hour, number in rows.most_common(1):
            if number > _MANY_ROWS:
                return (
                    f"`memory: {memory >> 20}MiB` may be too little: {source} has {number:,} events in {hour}, and such"
                    f" an hour may take 60 MiB more; `memory: {_KEPT_FROM >> 20}MiB` is the least that is kept to"
                )
    return ""


def _some(models: Sequence[str]) -> str:
    return ", ".join(models[:3]) + (f" and {len(models) - 3} more" if len(models) > 3 else "")


class BuildFailed(HeadwaterError):
    """Some models could not be built; the others are. What failed stays stale, and its rows stay in bronze."""

    def __init__(self, failures: Mapping[str, str], memory: int = 0) -> None:
        self.failures = dict(failures)
        by_why: dict[str, list[str]] = {}
        for model, why in self.failures.items():
            by_why.setdefault(why, []).append(model)
        lines = "\n".join(f"  {_some(models)}: {why}" for why, models in by_why.items())
        head = f"{len(self.failures)} models failed (the others are published; their events are in bronze, the hours"
        more = f"\n{_too_little(memory)}" if any(_OUT_OF_MEMORY in why for why in self.failures.values()) else ""
        super().__init__(f"{head} stay stale):\n{lines}{more}")


@dataclass
class Built:
    """What a build did: event hours by source and by mart, and the models that built them.

    `kept_out` are the records, by source, of which no table could be made. `repaired` are rows, by model, that broke
    rules of OCSF and were made valid.
    """

    hours: dict[str, tuple[str, ...]] = field(default_factory=dict)
    marts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    models: tuple[str, ...] = ()
    failures: dict[str, str] = field(default_factory=dict)
    kept_out: dict[str, tuple[Unprocessable, ...]] = field(default_factory=dict)
    repaired: dict[str, Repaired] = field(default_factory=dict)


def build(
    settings: Settings,
    store: Store,
    sources: Iterable[str],
    first: str | None = None,
    last: str | None = None,
    again: bool = False,
    quiet: bool = True,
    only: Collection[str] | None = None,
    project: Project | None = None,
    told: Told = lambda what, done, of: None,
) -> Built:
    """Build what is stale, of the event hours from `first` to `last` (both included) when given; all with `again`.

    With `only`, of these hours alone. Marts follow the tables that they read, whichever of their hours look at them.
    `told` gets what is built, and how many tables of how many are.

    Raises:
        BuildFailed: some models failed. The rest is published.
    """
    sweep(store)
    request = Request(settings, store, project or load_project())
    sources, done, in_range = list(sources), Built(), _between(first, last)
    chosen = in_range if only is None else lambda hour: in_range(hour) and hour in only
    found, put_aside = _build_all(request, done, sources, chosen, in_range, again, quiet, told), dict[str, str]()
    while found.keys() - put_aside.keys():  # tables that were damaged, and marts that failed over them, are made again
        put_aside |= found
        for mart in request.project.marts.by_name:
            done.failures.pop(mart, None)
        hours = {*found.values()}
        found = _build_all(request, done, sources, hours.__contains__, in_range, False, quiet, told)
    done.repaired = dict(request.repaired)
    for model, made in done.repaired.items():
        warn_once(
            f"{model}: {made.rows:,} rows broke rules of OCSF ({', '.join(made.rules[:5])}) and were made valid: what"
            f" left them is in `unmapped.invalid`, for instance of metadata.uid {made.uid}"
        )
    for sentence in in_sentences(done.kept_out):
        warn_once(sentence)
    if done.failures:
        raise BuildFailed(done.failures, settings.memory_bytes)
    return done


def _build_all(
    request: Request,
    done: Built,
    sources: Iterable[str],
    chosen: Callable[[str], bool],
    in_range: Callable[[str], bool],
    again: bool,
    quiet: bool,
    told: Told,
) -> dict[str, str]:
    """Build the `chosen` hours of sources and those of marts in a range; return damaged tables with their hours."""
    store, mappings = request.store, request.project.mappings
    wanted: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for source in sources:
        for model in removed_models(store, mappings, source):
            retire(store, model)
        waiting: dict[str, str] = {}
        for each in stale_or_all(store, mappings, source, again, waiting):
            if chosen(each.hour):
                wanted.setdefault((source, each.models), []).append(each.hour)
        if waiting:
            done.failures[source] = "; ".join(list(dict.fromkeys(waiting.values()))[:3])
    if wanted and (more := _more_than_set(store, request.settings.memory_bytes, wanted)):
        warn_once(more)
    runs = [*_runs(mappings, wanted)]
    hours_of_all = sum(map(len, wanted.values()))
    counted = _counter(told, f"building {hours_of_all:,} event hours, tables", sum(len(models) for models, _ in runs))
    for models, hours in runs:
        ran = run_models(replace(request, plan=Plan(hours), told=counted), models, quiet)
        done.failures.update(ran.failures)
        done.kept_out.update({each: found for each, found in ran.kept_out.items() if found})
        done.models = tuple(sorted({*done.models, *models}))
        for source, found in hours.items():
            done.hours[source] = tuple(sorted({*done.hours.get(source, ()), *found}))
    return _build_marts(request, done, in_range, again, quiet, told)


def would_build(
    store: Store, sources: Iterable[str], first: str | None = None, last: str | None = None, again: bool = False
) -> Due:
    """Return what `build` would do with the same arguments, and why. Nothing is built, loaded or removed."""
    project = load_project()
    return due(store, project.mappings, project.marts, list(sources), _between(first, last), again)


def _between(first: str | None, last: str | None) -> Callable[[str], bool]:
    return lambda hour: (not first or hour >= first) and (not last or hour <= last)


def _counter(told: Told, what: str, of: int) -> Callable[[str], None]:
    """Return what is to be told of each table that was built; one that is tried again counts once."""
    built: set[str] = set()

    def count(table: str) -> None:
        built.add(table)
        told(what, len(built), of)

    return count


def _build_marts(
    request: Request, done: Built, wanted: Callable[[str], bool], again: bool, quiet: bool, told: Told
) -> dict[str, str]:
    """Build the stale hours of all marts in one dbt run, which orders them; return files put aside with their hours."""
    store, project = request.store, request.project
    for model in removed_marts(store, project.marts):
        retire(store, model)
    done.failures.update(project.blocked(project.marts.problems))
    hours = planned_marts(store, project, wanted, again)
    if not hours:
        return {}
    before = {mart: build_receipts.of_model(store, mart) for mart in hours}
    plan = Plan(marts=hours, if_stale=not again)
    counted = _counter(told, "building gold, tables", len(hours))
    ran = run_models(replace(request, plan=plan, told=counted), tuple(hours), quiet)
    done.failures.update(ran.failures)
    for mart, receipts in before.items():
        news = [hour for hour, each in build_receipts.of_model(store, mart).items() if receipts.get(hour) != each]
        if news:
            done.marts[mart] = tuple(sorted(news))
    done.models = tuple(sorted({*done.models, *done.marts}))
    return ran.put_aside


def planned_marts(
    store: Store, project: Project, wanted: Callable[[str], bool] = lambda _: True, again: bool = False
) -> dict[str, tuple[str, ...]]:
    """Return, by mart, the hours that are stale or may become so while those that they look back to are built.

    With `again`, all hours that they have something to read of.
    """
    found = planned(store, project.mappings, project.marts, wanted, again)
    return {mart: tuple(hours) for mart, hours in found.items()}


def run_models(request: Request, models: Sequence[str], quiet: bool = True) -> Ran:
    """Run models. They run again when files that they read were merged or replaced, or when they fail over an hour.

    What an hour fails over is tried in halves until the records to blame are alone; these are kept out of its tables.
    """
    request = known_kept_out(request, models)

    def run(request: Request, models: Sequence[str]) -> Ran:
        ran = Ran()
        for tries_left in reversed(range(_TRIES)):
            try:
                ran = _run(request, models, quiet)
            except BuildFailed as problem:  # dbt itself; the other runs are tried all the same
                ran = Ran(problem.failures)
            if not tries_left or not _gone(request.store, ran.failures):
                break
        if not request.one_at_a_time and any(_OUT_OF_MEMORY in why for why in ran.failures.values()):
            again = [each for each in models if each in ran.failures]  # more was needed than was planned for
            ran = run(replace(request, one_at_a_time=True), again)
        return ran

    ran = without_failing_records(request, models, run(request, models), run)
    for source, deep in request.too_deep.items():
        ran.kept_out[source] = (*deep, *(each for each in ran.kept_out.get(source, ()) if each not in deep))
    return ran


def _gone(store: Store, failures: Mapping[str, str]) -> bool:
    """Return whether a model failed over a bronze file that is no longer there, and that no receipt names any more."""
    named = {key for why in failures.values() for key in _BRONZE_KEY.findall(unquote(why))}
    gone = {key for key, held in store.infos(sorted(named)).items() if held is None}
    of_sources = {key.split("/")[1] for key in gone}
    return bool(
        gone - {mark.key for each in of_sources for receipt in landings(store, each, []) for mark in receipt.files}
    )


def unbuilt_hours(store: Store, source: str) -> set[str]:
    """Return the event hours of a source that wait to be built."""
    return {each.hour for each in stale_hours(store, load_project().mappings, source)}


def run_dbt(request: Request, models: Sequence[str], quiet: bool = True) -> dict[str, str]:
    """Run models over the hours of a plan in one dbt run; return the failed ones with the first lines of why.

    A model that is broken, and what reads it in this run or through views, is not run, and fails with the reason. So
    it is with a view that turns out not to work: the others are run again without what reads it.

    Raises:
        BuildFailed: dbt itself failed, so that no model ran.
    """
    return _run(request, models, quiet).failures


def _run(request: Request, models: Sequence[str], quiet: bool) -> Ran:
    broken: dict[str, str] = {}
    while True:
        failures = request.project.blocked(models, broken)
        wanted = [each for each in models if each not in failures]
        if not wanted:
            return Ran(failures)
        request.standing_in.clear()
        ran, said = _invoked(request, wanted, quiet)
        if not request.standing_in:
            if said:
                raise BuildFailed({"dbt": said})
            return Ran(failures | ran.failures, ran.errors)
        culprit = request.standing_in[0]
        if culprit in broken:  # a table of the lake, which its readers read as it was published
            return Ran(failures | dict.fromkeys(wanted, _first_lines(said)), {culprit: said})
        broken[culprit] = f"{request.project.file_of(culprit)}: {one_line(said)}"


def _invoked(request: Request, models: Sequence[str], quiet: bool) -> tuple[Ran, str]:
    """Run models; return those that failed with why, and what dbt says when it ran none."""
    project = request.project
    kept = project.kept_for(models, 1 if request.one_at_a_time else 2)  # one step after the other takes the least
    outcome = _dbt(request, "run", [*kept, *models], quiet)
    results = getattr(outcome.result, "results", None) or []
    errors = {each.node.unique_id: each.message or "" for each in results if str(each.status) in _FAILED}
    failed = {unique_id: _first_lines(message) for unique_id, message in errors.items()}
    found = {each.node.name: failed[each.node.unique_id] for each in results if each.node.unique_id in failed}
    skipped = {each.node.name: "skipped" for each in results if str(each.status) == "skipped"}
    found |= skipped | project.blocked(skipped, failed)
    return Ran(found, errors), str(outcome.exception).strip() if outcome.exception is not None else ""


def _dbt(
    request: Request, command: str, selected: Sequence[str], quiet: bool, ended: Callable[[], None] | None = None
) -> Any:
    """Run a dbt command over what is selected; `ended` is called whenever a node of it has ended."""
    from orchestration.dbt.plugin import end_runs  # dbt takes seconds to import; only those who build wait for it

    project = request.project
    # Nobody reads what dbt writes of a run: it is a tenth of an empty run in a profile. Errors come back as results.
    words = ["--select", " ".join(selected), "--target", "lake", "--no-write-json", "--no-populate-cache"]
    alone = BuildMemory(request.settings.memory_bytes, is_least=request.one_at_a_time).models == 1
    words += ["--threads", "1"] if alone else []
    with requested(request):
        end_runs()  # of a dbt that somebody else started in this process
        try:
            manifest = project.dbt_manifest()
            return invoke(command, project.folder, project.target, *words, manifest=manifest, quiet=quiet, ended=ended)
        finally:
            end_runs()


@dataclass(frozen=True)
class Tested:
    """How one unit test ended: `pass`, `fail` or `error`, and what dbt said."""

    name: str
    model: str
    status: str
    message: str


def run_tests(request: Request, models: Sequence[str], told: Told = lambda what, done, of: None) -> list[Tested]:
    """Run the unit tests of models; `told` gets how many of how many have ended.

    Raises:
        BuildFailed: dbt itself failed, so that no test ran.
    """
    tests = [each for each in request.project.manifest["unit_tests"].values() if each["model"] in models]
    ended = count(1)
    note = lambda: told("testing: unit tests", next(ended), len(tests))  # noqa: E731
    outcome = _dbt(request, "test", [f"{each},test_type:unit" for each in models], quiet=True, ended=note)
    if outcome.exception is not None:
        raise BuildFailed({"dbt": str(outcome.exception).strip()})
    found = [
        Tested(
            name=result.node.name,
            model=result.node.unique_id.split(".")[2],  # unit_test.<project>.<model>.<test>
            status=str(result.status),
            message=_COLOURS.sub("", result.message or ""),
        )
        for result in getattr(outcome.result, "results", [])
        if result.node.resource_type == "unit_test"
    ]
    return sorted(found, key=lambda each: (each.model, each.name))


def _runs(
    mappings: Mappings, wanted: Mapping[tuple[str, tuple[str, ...]], Sequence[str]]
) -> Iterator[tuple[tuple[str, ...], dict[str, tuple[str, ...]]]]:
    """Yield (models, hours by source) of the dbt runs that are needed, of hours by (source, models).

    Hours that need all models of their source are one run, of all sources together.
    """
    whole = {source: models for source, models in wanted if set(models) == set(mappings.models_of(source))}
    if whole:
        hours = {source: tuple(wanted[source, models]) for source, models in whole.items()}
        yield tuple(model for models in whole.values() for model in models), hours
    for (source, models), found in wanted.items():
        if whole.get(source) != models:
            yield models, {source: tuple(found)}


def _first_lines(message: str | None) -> str:
    lines = [line.strip() for line in (message or "").splitlines() if line.strip()]
    return " ".join(lines[:3])[:500]
