"""The bridge between a dbt run and the lake: a dbt-duckdb plugin with a few SQL functions.

Functions (all text in, text out; `!` first marks an error that the macro raises):
  hw_setup(bronze types)        → JSON: statements that make `bronze` and `reference`
  hw_stand_in(id)               → "": from now on a failure is that model's; of none with ""
  hw_seed(name)                 → SELECT over the rows of a seed that can be used
  hw_stage(model)               → folder to write partitions to
  hw_wanted(mart)               → condition for the rows of a mart that are built, by `_event_at`
  hw_parts(model, JSON)         → JSON, of its rows by hour ({} where nobody counted them): `held`, a table to hold them
                                  in until they are published, where they are few; `parts`, conditions for the hours
                                  to write one part after the other, none for all at once
  hw_parquet("")                → options of Parquet for what is written
  hw_events(model, table, columns) → JSON: SQL from a mapping's columns to whole events with their context
  hw_unmapped(model, record, values, unmapped) → `unmapped` with what the values of a row lack of its record
  hw_check(model, table, columns) → JSON: what was staged, queries for broken OCSF rules and for what waits, and
                                  statements that write its observables; {} when nothing was staged
  hw_repair(model, JSON)        → JSON of rows by hour that broke a rule, and were made valid where they are staged
  hw_keeps(model, columns, classes) → JSON: how a view that is computed once is written: `options`, and `file` below
                                  its folder; without one, a folder a class, but for a class of most rows (`whole`)
  hw_reads(model, sql)          → the SQL, which reads the whole view where its class was not written
  hw_routed(model)              → "yes" if events of its class are there, or may be; a trial plans every mapping
  hw_kept(model, columns)       → SELECT over what was computed once for the run
  hw_publish(JSON)              → JSON of rows by hour; a trial keeps the rows in its folder
  hw_try(view)                  → statement that writes a view's rows to the folder of a trial; else nothing
  hw_outcomes(source)           → what is added to the outcomes of a source: those of records that are kept out
  hw_searches("")               → "yes": records that a model fails over are looked for, and nothing is built
  hw_search(model, JSON)        → "": the records are in the request's search
  hw_table(table, source)       → SELECT over a lake table
  hw_mart(mart, class, empty)   → SELECT over a mart; `empty` is a SELECT of no rows that has its columns
"""

import atexit
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from functools import partial, wraps
from typing import Any

import duckdb
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.adapters.duckdb.plugins import BasePlugin
from dbt_common.events.base_types import EventLevel
from dbt_common.events.functions import fire_event
from dbt_common.events.types import Note

from ingest.contracts import load_contracts
from ingest.contracts.known import known_record
from ingest.decode.records import MAX_DEPTH, depth_of
from ingest.lookups.provider import asked_paths, sendable_sql
from ingest.reference.inventory import held_by, kept_places
from ingest.reference.views import reference_versions, reference_views
from lake.base.sql import literal
from lake.build import staged, unprocessable
from lake.build.memory import HOURS_AT_ONCE, BuildMemory, in_parts, leaves_of
from lake.build.run import BuildRun, Plan
from lake.build.search import NotAlone, Tried, isolate
from lake.ledger.pending_lookups import pending_sql
from lake.matching.index import staged_statements
from lake.matching.matches import TABLE as MATCHES
from lake.matching.matches import select as matches
from lake.ocsf import observable_text, values
from lake.ocsf.accounts.texts import forget
from lake.ocsf.attributes import EventClass, declared_classes
from lake.ocsf.columns import ConformError, columns
from lake.ocsf.context.plan import ReferenceInventory
from lake.ocsf.context.statements import context_sql
from lake.ocsf.event_sql import broken_sql, event_sql
from lake.ocsf.values import Accounts
from lake.query.views import lake_table, mart_files
from lake.storage import paths
from lake.storage.duck import Signed, rows_select, typed_select
from lake.storage.publish import Workplace, recover
from orchestration.dbt.request import Request, current_request, own_request
from orchestration.settings import load_settings, lookups_of

KEPT_ROWS = 100_000  # of a reference table that a run keeps in memory
_CHECKS = ("count_sql", "rules_sql", "pending_sql")

_workplaces = ExitStack()


def end_runs() -> None:
    """Give back what the runs of this process staged; at its end this happens by itself.

    Their DuckDB goes too: one that has spilled refuses the folder of the next run.
    """
    DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]
    _workplaces.close()


atexit.register(end_runs)


class Plugin(BasePlugin):
    """Registers the functions on dbt's connection; the lake is not looked at before the run's first hook."""

    def initialize(self, plugin_config: dict[str, Any]) -> None:
        """Note whether a run that nobody asked for publishes."""
        self._publishes = bool(plugin_config.get("publish"))
        self._request: Request  # of the run; from its first hook on
        self._run: BuildRun | None = None
        self._signed: Signed | None = None
        self._classes: dict[str, EventClass] | None = None
        self._held: ReferenceInventory | None = None
        self._accounts: dict[str, Accounts] = {}  # by model
        self._held_models: set[str] = set()  # whose rows are in staged.HELD_ROWS
        self._whole: dict[str, int | None] = {}  # by events model: the class that is not kept

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Register the functions."""
        given = current_request()
        settings = given.settings if given else load_settings()
        conn.execute("set timezone = 'UTC'")
        conn.execute("set preserve_insertion_order = false")
        conn.execute("set partitioned_write_max_open_files = 100000")
        observable_text.prepare(conn)
        self._memory = BuildMemory(settings.memory_bytes, settings.threads, bool(given and given.one_at_a_time))
        conn.execute("set memory_limit = ?", [f"{self._memory.of_duckdb}B"])
        conn.execute(f"set threads = {self._memory.threads_of_duckdb}")
        for name, function, inputs in (
            ("hw_setup", self._setup, 1),
            ("hw_stand_in", self._stand_in, 1),
            ("hw_seed", self._seed, 1),
            ("hw_stage", self._stage, 1),
            ("hw_wanted", self._wanted, 1),
            ("hw_parts", self._parts, 2),
            ("hw_parquet", lambda _: self._memory.parquet, 1),
            ("hw_keeps", self._keeps, 3),
            ("hw_reads", self._reads, 2),
            ("hw_routed", self._routed, 1),
            ("hw_events", self._events, 3),
            ("hw_check", self._check, 3),
            ("hw_repair", self._repair, 2),
            ("hw_kept", self._kept, 2),
            ("hw_publish", self._publish, 1),
            ("hw_try", self._try, 1),
            ("hw_outcomes", self._outcomes, 1),
            ("hw_searches", self._searches, 1),
            ("hw_search", self._search, 2),
            ("hw_table", self._table, 2),
            ("hw_mart", self._mart, 3),
        ):
            conn.create_function(name, _as_text(function), ["VARCHAR"] * inputs, "VARCHAR", side_effects=True)
        values.prepare(conn, self._accounts)
        self._connection = conn

    def _setup(self, request: str) -> str:
        types = json.loads(request)["bronze_types"]
        self._request = current_request() or own_request(_workplaces, self._publishes)  # a plugin outlives its run
        store, project, trial = self._request.store, self._request.project, self._request.trial
        self._signed = Signed(self._connection.cursor(), store)
        if trial is None:
            recover(store)
        mappings, self._classes = project.mappings, None
        plan = self._request.plan or Plan.of_stale(store, mappings, types)
        place = trial or _workplaces.enter_context(Workplace(store, "build"))
        versions = reference_versions(store)  # first: what comes meanwhile may be read, and counts as not read
        reference = reference_views(store, self._request.settings.feed_order)
        views = [f"create or replace {self._kind(sql)} reference.{name} as {sql}" for name, sql in reference.items()]
        con = self._connection.cursor()
        self._run, self._held = BuildRun(store, mappings, project.marts, plan, place, versions, con=con), None
        self._bronze = {name: typed_select(given, self._run.bronze_files(name)) for name, given in types.items()}
        for source, given in types.items():
            try:
                con.execute(f"describe {self._bronze[source]}")
                deep = unprocessable.nested_too_deep(con, store, self._run.files.get(source, []), MAX_DEPTH, depth_of)
            except duckdb.Error as problem:  # a file that cannot be read: it stops the models of its source alone
                self._bronze[source], deep = unprocessable.unreadable(given, str(problem)), ()
            self._request.too_deep[source] = (*dict.fromkeys((*self._request.too_deep.get(source, ()), *deep)),)
        bronze = [self._bronze_view(source) for source in types]
        spill = place.path / "spill"
        beside = ["create schema if not exists gold", f"create or replace view gold.{MATCHES} as {matches(store)}"]
        statements = [f"set temp_directory = {literal(str(spill))}", *bronze, *views, *beside, *kept_places(reference)]
        return json.dumps({"statements": statements})

    def _bronze_view(self, source: str) -> str:
        search = self._request.search
        part = search.part if search and search.source == source else None
        return unprocessable.view_of(source, self._bronze[source], self._kept_out(source), part)

    def _kept_out(self, source: str) -> Sequence[unprocessable.Unprocessable]:
        deep = self._request.too_deep[source]
        records = {each.record for each in deep}
        return *deep, *(each for each in self._current().plan.kept_out.get(source, ()) if each.record not in records)

    def _kind(self, sql: str) -> str:
        """Return `table` for what a run keeps in memory, since every model asks it anew; `view` for what is large."""
        found = self._connection.cursor().execute(f"select count(*) from ({sql})").fetchone()
        return "table" if found and found[0] <= KEPT_ROWS else "view"

    def _stand_in(self, unique_id: str) -> str:
        self._request.standing_in[:] = [unique_id] if unique_id else []
        return ""

    def _seed(self, name: str) -> str:
        return self._request.project.seeds[name].select(self._current().place.path)

    def _stage(self, model: str) -> str:
        if self._signed is not None:
            self._signed.renew()  # a run may outlive the credentials of a role
        return str(self._current().staging_folder(model))

    def _wanted(self, mart: str) -> str:
        hours = ", ".join(f"timestamp '{hour.replace('T', ' ')}:00:00'" for hour in self._current().mart_hours(mart))
        return f"date_trunc('hour', _event_at) in ({hours})" if hours else "false"

    def _parts(self, model: str, mapped: str) -> str:
        table, _, source = model.partition("__")
        run, rows = self._current(), json.loads(mapped)
        if table == paths.OUTCOMES:
            return json.dumps({"parts": []})
        hours = list(rows) or (run.plan.hours.get(source, ()) if source else run.mart_hours(table))
        how: dict[str, object] = {"parts": in_parts(hours, self._hours_at_once(table, source))}
        self._held_models.discard(model)
        if source and sum(rows.values()) <= self._memory.rows_held:
            self._held_models.add(model)
            how["held"] = staged.HELD_ROWS
        return json.dumps(how)

    def _hours_at_once(self, table: str, source: str) -> int:
        return self._memory.hours_at_once(leaves_of(columns(self._class(table)))) if source else HOURS_AT_ONCE

    def _events(self, model: str, table: str, described: str) -> str:
        event_class = self._class(table)
        contract = load_contracts().get(model.partition("__")[2])
        try:
            made = event_sql(event_class, dict(json.loads(described)), model if contract else "")
        except ConformError as problem:
            return f"!{table}: {problem}"
        if contract and made.values:
            self._accounts[model] = Accounts(known_record(contract), *zip(*made.values, strict=True))
        context = context_sql(event_class, made, self._held_for(table))
        return json.dumps({"steps": made.steps, "metadata": made.metadata, **asdict(context)})

    def _held_for(self, table: str) -> ReferenceInventory:
        if self._held is None:
            self._held = held_by(self._connection.cursor())
        lookups = lookups_of(self._request.settings).values()
        return replace(self._held, lookups=asked_paths(lookups, table), sendable=sendable_sql(lookups))

    def _check(self, model: str, table: str, described: str) -> str:
        folder = self._current().staging_folder(model)
        if (rows := staged.staged_rows(folder)) is None:
            return "{}"
        if held := staged.HELD_ROWS if model in self._held_models else "":
            rows = held
        if table in ("", paths.OUTCOMES):  # a mart that is no OCSF class
            return json.dumps({"staged": rows})
        count, each = broken_sql(self._class(table), dict(json.loads(described)), rows)
        check: dict[str, object] = {"staged": rows, "count_sql": count, "rules_sql": each}
        if (source := model.partition("__")[2]) and self._request.trial is None:  # a table of silver
            hours = () if held else self._current().plan.hours.get(source, ())
            parts = in_parts(hours, self._hours_at_once(table, source))
            check["index"] = staged_statements(self._class(table), folder, staged.unsorted_rows(folder), parts, held)
            if asked_paths(lookups_of(self._request.settings).values(), table):
                check["pending_sql"] = pending_sql(rows)
        return json.dumps(check)

    def _repair(self, model: str, asked: str) -> str:
        self._held_models.discard(model)  # its rows are those from before
        given, folder = json.loads(asked), self._current().staging_folder(model)
        described, event_class = dict(json.loads(given["described"])), self._class(given["table"])
        con, options = self._connection.cursor(), self._memory.parquet
        return json.dumps(staged.repair_hours(con, event_class, described, folder, given["hours"], options))

    def _keeps(self, model: str, described: str, classes: str) -> str:
        project = self._request.project
        files = len(project.mappings.models_of(model)) + 1  # a class each, and those without one
        how = staged.keeping(self._memory, json.loads(described), files)
        is_whole = not how["file"] and self._request.trial is None and project.is_read_by_mappings(model)
        self._whole[model] = staged.class_of_most(json.loads(classes)) if is_whole else None
        if self._whole[model] is not None:
            how["whole"] = str(self._whole[model])
        return json.dumps(how)

    def _reads(self, model: str, sql: str) -> str:
        source = model.partition("__")[2]
        whole = self._whole.get(source)
        if whole is not None and self._request.project.class_read(model) in (None, whole):
            return sql.replace(f'."{source}"', f'."{source}{staged.WHOLE}"')
        return sql

    def _routed(self, model: str) -> str:
        source = model.partition("__")[2]
        routed = staged.routed_classes(self._current().place.path / source) | {self._whole.get(source)}
        read = self._request.project.class_read(model) if routed != {None} and self._request.trial is None else None
        return "yes" if read is None or read in routed else ""

    def _kept(self, model: str, described: str) -> str:
        return staged.kept_select(self._current().staging_folder(model), json.loads(described))

    def _publish(self, request: str) -> str:
        asked = json.loads(request)
        staged.unsorted_rows(self._current().staging_folder(asked["model"])).unlink(missing_ok=True)
        if asked.get("invalid") and self._request.trial is None:
            return f"!{staged.still_invalid(asked['invalid'])}"
        broken = "invalid" if self._request.trial is None else "found"  # a trial tells what the mapping itself broke
        told = asked["model"], asked["table"], asked["source"], asked.get("counts", {}), asked.get(broken, {})
        rows = self._current().publish_model(*told, asked.get("content"), asked.get("mapped"))
        if self._request.trial is not None and current_request() is None:
            _say(asked["model"], rows)
        self._accounts.pop(asked["model"], None)
        if self._memory.is_little:
            forget()
        self._request.told(asked["model"])
        self._request.note_repaired(asked["model"], asked.get("counts", {}), asked.get("found", {}))
        return json.dumps(rows)

    def _try(self, view: str) -> str:
        trial = self._request.trial
        if trial is None or current_request() is None:
            return ""
        trial.receipts[view] = []
        file = self._current().staging_folder(f"{view}.rows") / "rows.parquet"
        return f"copy (select * from {{view}}) to {literal(str(file))} (format parquet)"

    def _outcomes(self, source: str) -> str:
        kept_out = self._kept_out(source)
        return f"union all by name {unprocessable.outcomes_sql(self._bronze[source], kept_out)}" if kept_out else ""

    def _searches(self, _: str) -> str:
        return "yes" if self._request.search is not None and self._request.search.part is None else ""

    def _search(self, model: str, asked: str) -> str:
        """Find the records that the statements of a model fail over, and what is done with its rows after these."""
        search, given = self._request.search, json.loads(asked)
        if search is None:
            return ""
        folder = self._current().staging_folder(model)

        def steps() -> Iterator[str]:
            yield from given["statements"]
            check = json.loads(self._check(model, given["table"], given["described"])) if given["table"] else {}
            yield from (*check.get("index", ()), *(check[name] for name in _CHECKS if name in check))

        clear = partial(shutil.rmtree, folder, ignore_errors=True)
        with Tried(self._connection.cursor(), search.source, steps, clear) as tried:
            search.records = list(tried.places)
            try:
                search.found = isolate(search.records, tried, suspected=search.suspected)
            except NotAlone as problem:
                search.problem = str(problem)
            except duckdb.Error:
                if not tried.is_broken:
                    raise
        search.tries, search.is_broken = tried.tries, tried.is_broken
        return ""

    def _table(self, table: str, source: str) -> str:
        run = self._current()
        outcomes = table == paths.OUTCOMES
        wanted = staged.OUTCOME_COLUMNS if outcomes else (*columns(self._class(table)), *staged.PIPELINE_COLUMNS)
        if (tried := run.tried_files(f"{table}__{source}")) is not None:
            return typed_select(wanted, tried, keys=("date", "hour") if outcomes else (), place=str(run.place.path))
        files = run.window_files(f"{table}__{source}")
        return lake_table(run.store, table, source, wanted) if files is None else typed_select(wanted, files)

    def _mart(self, mart: str, ocsf_class: str, empty: str) -> str:
        run = self._current()
        files = tried if (tried := run.tried_files(mart)) is not None else run.window_files(mart)
        if files is None:
            files = mart_files(run.store, mart)
        if ocsf_class:
            return typed_select(columns(self._class(ocsf_class)), files)
        return f"({empty})" + (f" union all by name ({rows_select(files)})" if files else "")

    def _class(self, table: str) -> EventClass:
        if self._classes is None:
            self._classes = declared_classes(self._request.project.folder)
        return self._classes[table]

    def _current(self) -> BuildRun:
        if self._run is None:
            raise RuntimeError("the run has no plan: dbt_project.yml must call lake_setup() on run start")
        return self._run


def _say(model: str, rows: Mapping[str, int]) -> None:
    """Say in dbt's log what a run made that publishes nothing."""
    told = ", ".join(f"{number:,} rows of {hour}" for hour, number in rows.items()) or "no hour to build"
    fire_event(Note(msg=f"{model}: {told}; not published (target dev)"), EventLevel.INFO)


def _as_text(function: Callable[..., str]) -> Callable[..., str]:
    """Give an exception to the macro as text, so that the reader sees a sentence and not a traceback in C++."""

    @wraps(function)  # DuckDB counts the parameters of what it is given
    def call(*texts: str) -> str:
        try:
            return function(*texts)
        except Exception as problem:
            return f"!{type(problem).__name__}: {problem}"

    return call
