"""The lake's side of a build: which bronze files a run reads, and publishing the partitions that a model wrote."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import msgspec

from lake import ledger
from lake.base.errors import HeadwaterError
from lake.build.same_rows import same_rows
from lake.build.unprocessable import Unprocessable
from lake.ledger import build_receipts
from lake.ledger.build_receipts import BuildReceipt
from lake.ledger.live_files import LiveFile, addresses, live_files
from lake.ledger.staleness import HELD, Mappings, bronze_inputs, row_marks, stale_hours
from lake.marts.declaration import Marts
from lake.marts.staleness import Tables, stale_mart, window
from lake.matching.index import files_of, staged_indexes
from lake.storage import paths
from lake.storage.paths import Address
from lake.storage.publish import Change, Workplace, publish
from lake.storage.store import Store


class RowsChanged(HeadwaterError):
    """A build that wrote more or fewer rows than the mapping gave. Nothing of the model was published."""


class ErasedMeanwhile(HeadwaterError):
    """A build that has read rows which were erased since. Nothing of it was published."""


@dataclass(frozen=True)
class Plan:
    """What one run builds: per source, and per mart, its event hours (`YYYY-MM-DDTHH`).

    With `if_stale`, the hours of marts are those that may have to be built: what is stale when a mart's turn comes is.
    With `newest`, a mart without hours of its own is built of the newest hour that it has something to read of.
    With `silver_hour`, views that read silver see this hour alone. `kept_out` are records, by source, that no table is
    made of; `suspected` those that were held back with them: where a model fails, they are searched first.
    """

    hours: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    marts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    if_stale: bool = False
    newest: bool = False
    silver_hour: str = ""
    kept_out: Mapping[str, tuple[Unprocessable, ...]] = field(default_factory=dict)
    suspected: Mapping[str, tuple[Unprocessable, ...]] = field(default_factory=dict)

    @classmethod
    def of_stale(cls, store: Store, mappings: Mappings, sources: Iterable[str]) -> "Plan":
        """Return the plan that makes everything current."""
        hours = {source: tuple(each.hour for each in stale_hours(store, mappings, source)) for source in sources}
        return cls({source: found for source, found in hours.items() if found})

    @classmethod
    def of_newest(cls, store: Store, sources: Iterable[str]) -> "Plan":
        """Return the plan of the newest event hour of each source and mart."""
        hours = {source: tuple(sorted(landed_hours(store, source))[-1:]) for source in sources}
        return cls({source: found for source, found in hours.items() if found}, newest=True)


def landed_hours(store: Store, source: str) -> Collection[str]:
    """Return the event hours of which a source has landed something."""
    return bronze_inputs(ledger.landings(store, source, [])).keys()


def retire(store: Store, model: str) -> int:
    """Remove the table and receipts of a model that the project no longer has; return how many files went."""
    gone: tuple[str, ...] = ()

    def plan() -> Change:
        nonlocal gone
        receipts = build_receipts.of_model(store, model)
        tables = tuple(key for each in receipts.values() if each.file for key in files_of(each))
        days = {build_receipts.day_key(model, ledger.hour(hour).date()) for hour in receipts}
        gone = (*tables, *sorted(days), *(each.key for each in store.list(paths.made_by(model))))
        return Change(deletes=gone)

    publish(store, plan)
    return len(gone)


@dataclass
class Trial:
    """Where a run leaves what it does not publish: rows in a folder of this machine, and receipts by model."""

    path: Path
    receipts: dict[str, list[BuildReceipt]] = field(default_factory=dict)

    def files(self, model: str) -> list[str] | None:
        """Return the files that a model wrote; None when it did not run."""
        if model not in self.receipts:
            return None
        return sorted(map(str, (self.path / model).glob("date=*/hour=*/*.parquet")))


@dataclass
class BuildRun:
    """One dbt run over one plan: it knows the inputs of every hour, and publishes what each model staged.

    `inputs` are by source, and by mart. `erasures` are the fingerprints of the source's erasures when its inputs were
    read. `con` reads the lake's files: hours are compared with what was there before, unless there is none.
    A run of a `trial` publishes nothing: its receipts stay there.
    """

    store: Store
    mappings: Mappings
    marts: Marts
    plan: Plan
    place: Workplace | Trial
    context: dict[str, str] = field(default_factory=dict)
    inputs: dict[str, dict[str, tuple[tuple[str, str], ...]]] = field(default_factory=dict)
    files: dict[str, list[LiveFile]] = field(default_factory=dict)
    erasures: dict[str, dict[str, str]] = field(default_factory=dict)
    con: duckdb.DuckDBPyConnection | None = None

    def __post_init__(self) -> None:
        self.tables = Tables(self.store)
        for source, hours in self.plan.hours.items():
            self.erasures[source] = _erasures(self.store, source)
            receipts = list(ledger.landings(self.store, source, []))  # hours of those that are broken wait
            held, wanted = bronze_inputs(receipts), set(hours)
            self.inputs[source] = {hour: tuple(held.get(hour, ())) for hour in hours}
            self.files[source] = [file for file in live_files(receipts) if file.hour in wanted]

    def mart_hours(self, mart: str) -> tuple[str, ...]:
        """Return the hours of a mart that this run builds: the plan's, or without one what is stale by now.

        From the first time that it is asked on, these hours and what they are made of stand.
        """
        if mart not in self.inputs:
            if mart in self.marts.problems:
                raise self.marts.problems[mart]
            declared = self.marts.by_name[mart]
            hours = self.plan.marts.get(mart, ())
            if self.plan.newest and not hours:
                hours = tuple(sorted(self.tables.hours(declared))[-1:])
            elif self.plan.if_stale or not self.plan.marts:
                stale = [each.hour for each in stale_mart(self.store, self.mappings, declared, self.tables)]
                hours = tuple(hour for hour in stale if not self.plan.marts or hour in hours)
            self.inputs[mart] = {hour: self.tables.inputs(declared, hour) for hour in hours}
        return tuple(self.inputs[mart])

    def bronze_files(self, source: str) -> list[Address]:
        """Return the addresses of the bronze files that this run reads for a source."""
        return addresses(self.store, self.files.get(source, []))

    def tried_files(self, model: str) -> list[str] | None:
        """Return the files that a model of this run wrote without publishing them; None when there are none such."""
        return self.place.files(model) if isinstance(self.place, Trial) else None

    def window_files(self, model: str) -> list[str] | None:
        """Return the addresses of a table's files in the hours that this run's marts look at; None without marts."""
        if self.plan.silver_hour and "__" in model:
            return [self.store.url(key) for key in self.tables.slots(model).files([(self.plan.silver_hour,) * 2])]
        if not self.plan.marts:
            return None
        marts = [self.marts.by_name[mart] for mart in self.plan.marts]
        windows = {
            window(read, hour)
            for mart in marts
            for read in mart.reads
            if model in read.models
            for hour in self.plan.marts[mart.name]
        }
        return [self.store.url(key) for key in self.tables.slots(model).files(windows)]

    def staging_folder(self, model: str) -> Path:
        """Return the folder a model writes its partitions to; empty, and on the lake's own file system."""
        folder = self.place.path / model
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def publish_model(
        self,
        model: str,
        table: str,
        source: str,
        counts: Mapping[str, Mapping[str, int]],
        invalid: Mapping[str, Mapping[str, tuple[int, str]]],
        content: Mapping[str, str] | None = None,
        mapped: Mapping[str, int] | None = None,
    ) -> dict[str, int]:
        """Publish the staged partitions of a model as the contents of all hours of the plan; return rows by hour.

        `counts` is hour → name → number (dispositions); `invalid` is hour → OCSF rule → (rows, metadata.uid of one);
        `content` is hour → digest, of a mart that declares what its readers depend on. A mart has no source. `mapped`
        is hour → rows that the mapping gave, where they were counted.
        An hour for which nothing was staged becomes empty: its file goes. An hour that has the rows that it had keeps
        their marks.

        Raises:
            RowsChanged: the rows written are not as many as the mapping gave.
            ErasedMeanwhile: what was read was erased since.
        """
        import pyarrow.parquet as pq  # where nothing is stale nobody waits for it

        folder = _folder(table, source)
        staged = {
            ledger.hour_text(filed): path
            for path in self.staging_folder(model).glob("date=*/hour=*/*.parquet")
            if (filed := paths.hour_of(path.as_posix())) is not None
        }
        indexes = staged_indexes(self.staging_folder(model))
        hours = self.inputs.get(source or model, {})
        outside = sorted(set(staged) - set(hours))
        if outside:
            raise ValueError(f"{model} made rows of hours that its input does not have: {', '.join(outside[:5])}")
        receipts = []
        moves: list[tuple[str, str]] = []
        deletes: list[str] = []
        for hour, inputs in hours.items():
            key = f"{folder}/{paths.hour_folder(ledger.hour(hour))}/part.parquet"
            path = staged.get(hour)
            rows = pq.read_metadata(path).num_rows if path else 0
            if mapped is not None and rows != mapped.get(hour, 0):
                raise RowsChanged(
                    f"{model}: the mapping gave {mapped.get(hour, 0)} rows of {hour} and {rows} were written;"
                    " no hour of this run was published, what was there before stays"
                )
            receipts.append(
                BuildReceipt(
                    model=model,
                    source=source,
                    table=table,
                    hour=hour,
                    rows=rows,
                    bytes=path.stat().st_size if path else 0,
                    inputs=inputs,
                    mapping=self.mappings.fingerprint(model),
                    built_at=datetime.now(UTC).isoformat(timespec="seconds"),
                    file=key if path else "",
                    counts=dict(counts.get(hour, {})) | self._held_back(table, source, hour),
                    invalid={rule: found[0] for rule, found in invalid.get(hour, {}).items()},
                    samples={rule: found[1] for rule, found in invalid.get(hour, {}).items()},
                    context=self.context if source else {},
                    content=(content or {}).get(hour, ""),
                    index=indexes.mark(hour) if path else None,
                    digest=ledger.digest_of(path),
                )
            )
            if isinstance(self.place, Trial):
                continue
            if path:
                moves.append((self.place.key_of(path), key))
            else:
                deletes.append(key)
            if indexed := indexes.files.get(hour):
                moves.append((self.place.key_of(indexed), paths.index_file(key)))
            elif key.startswith(paths.SILVER):
                deletes.append(paths.index_file(key))

        if isinstance(self.place, Trial):
            self.place.receipts[model] = receipts
            return {receipt.hour: receipt.rows for receipt in receipts}

        before = _receipts(self.store, model, hours) if self.con is not None else {}
        same = same_rows(self.con.cursor(), self.store, before, staged) if self.con is not None and before else {}

        def plan() -> Change:
            self._refuse_erased(model, source)
            now = _receipts(self.store, model, same)  # another build may have replaced what was compared
            kept = {hour: marks for hour, marks in same.items() if now.get(hour) == before[hour]}
            news = [msgspec.structs.replace(each, same=kept.get(each.hour)) for each in receipts]
            written = (*self.mappings.record(self.store, model), *build_receipts.merged_days(self.store, model, news))
            return Change(moves=tuple(moves), deletes=tuple(deletes), receipts=written)

        publish(self.store, plan)
        self.tables.forget(model)
        return {receipt.hour: receipt.rows for receipt in receipts}

    def _held_back(self, table: str, source: str, hour: str) -> dict[str, int]:
        """Return how many records of an hour may be sound, and are kept out."""
        kept_out = self.plan.kept_out.get(source, ()) if table == paths.OUTCOMES else ()
        held = sum(each.hour == hour and each.is_held_back for each in kept_out)
        return {HELD: held} if held else {}

    def _refuse_erased(self, model: str, source: str) -> None:
        """Raise ErasedMeanwhile when rows that this run has read were erased since.

        A mart that has read them is stale as soon as the tables it reads are built without them.
        """
        if not source or _erasures(self.store, source) == self.erasures.get(source):
            return
        now = bronze_inputs(ledger.landings(self.store, source, []))
        for hour, inputs in self.inputs.get(source, {}).items():
            if row_marks(inputs) != row_marks(now.get(hour, ())):
                raise ErasedMeanwhile(f"{model}: records of {hour} were erased while it was built; build it again")


def _receipts(store: Store, model: str, hours: Iterable[str]) -> dict[str, BuildReceipt]:
    wanted = set(hours)
    days = sorted({ledger.hour(hour).date() for hour in wanted})
    held = (build_receipts.day_of(store, model, day) for day in days)
    return {hour: each for day in held for hour, each in day.items() if hour in wanted}


def _erasures(store: Store, source: str) -> dict[str, str]:
    return {each.key: each.fingerprint for each in store.list(paths.erasure_receipts(source))}


def _folder(table: str, source: str) -> str:
    if not source:
        return paths.gold_folder(table)
    return paths.outcomes_folder(source) if table == paths.OUTCOMES else paths.silver_folder(table, source)
