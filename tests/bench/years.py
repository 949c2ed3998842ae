"""Years of receipts: what `balance`, `export status` and a build with nothing stale cost when a lake is old.

What belongs here: a ledger of many hours with the files that it names, made without landing or building anything.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from ingest.contracts import load_contracts
from lake import ledger
from lake.export.declaration import Export
from lake.ledger import FileMark, LandingReceipt, ObjectMark, build_receipts
from lake.ledger.build_receipts import BuildReceipt
from lake.ledger.export_receipts import Counted, ExportReceipt, with_exports
from lake.ledger.published_tables import mark, newest_builds
from lake.marts.staleness import Tables
from lake.storage import paths
from lake.storage.store import LocalStore
from orchestration.dbt.project import Project, load_project
from orchestration.steps.exports import declared_exports
from tests.bench.measures import Bench, Row
from tests.bench.process import headwater

_FIRST = datetime(2023, 1, 1)
_LINKS = 30_000  # names of one file: a file system allows some ten thousands
_DAYS, _ENOUGH = 110, 100_000  # events of a bench that is worth so many days
_COMMANDS = (("balance",), ("build",), ("export", "status"))
_ROWS, _AT = 100, "2026-01-01T00:00:00+00:00"


def years(bench: Bench) -> Iterator[Row]:
    """The commands that read the whole ledger, over three years of receipts of all sources: of a tenth, ten times."""
    most = _DAYS if bench.events >= _ENOUGH else 2
    taken = {days: _commands(bench, days) for days in (1, most)}
    for words in _COMMANDS:
        one, many = (taken[days][words] for days in (1, most))
        note = f"{many:.1f} s over {most} days of {len(load_contracts())} sources, {one:.1f} s over one"
        least = one + 10 * (many - one)
        yield Row(f"`headwater {' '.join(words)}`, three years of receipts", least, "s of CPU", 3, "less", note)


def _commands(bench: Bench, days: int) -> dict[tuple[str, ...], float]:
    lake = bench.lake("years", geoip=False)
    exported_to = lake / "exported"
    os.environ |= {
        "HEADWATER_DESTINATIONS__FILES__TYPE": "files",
        "HEADWATER_DESTINATIONS__FILES__ROOT": str(exported_to),
    }
    write_ledger(LocalStore(lake), load_project(), days, str(exported_to))
    return {words: min(headwater(lake, *words).cpu_seconds for _ in range(1 + bench.repeats)) for words in _COMMANDS}


def write_ledger(store: LocalStore, project: Project, days: int, exported_to: str) -> None:
    """Write receipts of every hour of some days for all sources, models and marts, and the files that they name.

    What models export to files is delivered; `exported_to` is the identity of that destination.
    """
    hours = [ledger.hour_text(_FIRST + timedelta(hours=each)) for each in range(24 * days)]
    files = _Files(store)
    for source in sorted(load_contracts()):
        inputs = {hour: _landed(store, files, source, hour) for hour in hours}
        outcomes = f"{paths.OUTCOMES}__{source}"
        full = {outcomes, next(each for each in project.mappings.models_of(source) if each != outcomes)}
        for model in project.mappings.models_of(source):
            made = {hour: _built(project, model, source, hour, of, model in full) for hour, of in inputs.items()}
            _write(store, files, model, made)
    tables = Tables(store)
    for name in (name for level in project.marts.levels for name in level):
        mart = project.marts.by_name[name]
        slots = sorted(tables.hours(mart))
        _write(store, files, name, {at: _built(project, name, "", at, tables.inputs(mart, at), False) for at in slots})
        tables.forget(name)
    exports = [each for each in declared_exports(project) if each.destination == "files"]
    for each in exports:
        hours_of: dict[str, dict[str, BuildReceipt]] = {}
        for slot, build in newest_builds(store, {each.held.table}).get(each.held, {}).items():
            if each.source in ("", slot.source):
                hours_of.setdefault(slot.hour, {})[slot.source] = build
        receipts = [_exported(each, exported_to, hour, builds) for hour, builds in hours_of.items()]
        _put(store, with_exports(store, receipts))


class _Files:
    """Makes files of one byte, as further names of a few."""

    def __init__(self, store: LocalStore) -> None:
        self._root, self._made, self._origin = store.path, 0, ""
        self._folders: set[str] = set()

    def make(self, key: str) -> str:
        path = f"{self._root}/{key}"
        folder = path.rsplit("/", 1)[0]
        if folder not in self._folders:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self._folders.add(folder)
        if self._made % _LINKS == 0:
            Path(path).write_bytes(b"x")
            self._origin = path
        else:
            os.link(self._origin, path)
        self._made += 1
        return key


def _landed(store: LocalStore, files: _Files, source: str, hour: str) -> tuple[tuple[str, str], ...]:
    at = ledger.hour(hour)
    batch = f"{at:%Y%m%dT%H}"
    folder = paths.hour_folder(at)
    checksum = f"{abs(hash((source, hour))):021}-{abs(hash((hour, source))):021}-0123456789ab-2"
    key = files.make(f"{paths.BRONZE}/{source}/{folder}/{batch}.parquet")
    one = FileMark(key=key, hour=hour, rows=_ROWS, bytes=1, checksum=checksum, digest="0" * 32)
    seen = ObjectMark(f"logs/{source}/{batch}.json.gz", 12_345, f"12345-{batch}", f"{hour}:30:00+00:00", _ROWS, 0)
    receipt = LandingReceipt(
        source=source, batch=batch, status="published", read=_ROWS, landed=_ROWS, quarantined=0,
        quarantined_by_reason={}, first_landed_at=_AT, landed_at=_AT, bytes_read=12_345, bytes_decoded=123_456,
        lateness_seconds={"p50": 60.0, "p99": 600.0, "max": 900.0}, contract_version="1.0.0",
        contract_fingerprint="0" * 64, files=(one,), objects=(seen,), seconds=0.5,
    )  # fmt: skip
    path = store.path / paths.landing_receipt(source, batch)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(ledger.encode(receipt))
    return ((key, checksum),)


def _built(
    project: Project, model: str, source: str, hour: str, inputs: tuple[tuple[str, str], ...], full: bool
) -> BuildReceipt:
    table = model.split("__")[0]
    outcomes = table == paths.OUTCOMES
    folder = paths.outcomes_folder(source) if outcomes else paths.silver_folder(table, source) if source else ""
    counts = {"rows": _ROWS, "published": _ROWS, "duplicate": 0, "filtered": 0, "collision": 0} if outcomes else {}
    return BuildReceipt(
        model=model, source=source, table=table, hour=hour, rows=_ROWS if full else 0, bytes=int(full), inputs=inputs,
        mapping=project.mappings.fingerprint(model), built_at=_AT, counts=counts,
        file=f"{folder}/{paths.hour_folder(ledger.hour(hour))}/part.parquet" if full else "",
        digest="0" * 32 if full else "",
    )  # fmt: skip


def _write(store: LocalStore, files: _Files, model: str, made: Mapping[str, BuildReceipt]) -> None:
    for each in made.values():
        if each.file:
            files.make(each.file)
    _put(store, build_receipts.merged_days(store, model, made.values()))


def _put(store: LocalStore, files: Iterable[tuple[str, str]]) -> None:
    for key, text in files:
        path = store.path / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _exported(export: Export, identity: str, hour: str, builds: Mapping[str, BuildReceipt]) -> ExportReceipt:
    rows = sum(each.rows for each in builds.values())
    return ExportReceipt(
        destination=export.destination, identity=identity, table=export.table, held=str(export.held), hour=hour,
        declaration=export.fingerprint, made_of={source: mark(each) for source, each in builds.items()},
        counted={source: Counted(published=each.rows, rows=each.rows) for source, each in builds.items()},
        rows=rows, checksum=1, held_rows=rows, held_checksum=1, proof="checksum", bytes_before=1, bytes_after=1,
        bytes_pushed=1, sent=1, pushed_at=_AT, seconds=0.1,
    )  # fmt: skip
