"""Small lakes for tests of what happens to landed rows later: batches of a few records, and what bronze then shows."""

import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from ingest.contracts import Contract
from ingest.landing import LandingSettings, land
from lake import ledger
from lake.ledger import LandingReceipt, build_receipts
from lake.ledger.build_receipts import BuildReceipt
from lake.ledger.live_files import addresses, by_hour, live_files
from lake.ledger.staleness import Mappings, bronze_inputs, stale_hours
from lake.storage import paths
from lake.storage.duck import rows_select
from lake.storage.publish import Change, Workplace, publish
from lake.storage.store import LocalStore, Store
from tests.unit.ingest.landing.landed import few, lines, raw
from tests.unit.lake.stores import asked

SOURCE = "strange"
Records = Sequence[tuple[int, str]]  # hour of 2026-03-02, label
Rows = Counter[tuple[str, str]]  # batch, label

BROKEN = "{broken"


def record(hour: int, label: str) -> dict[str, object]:
    return {"host": label, "number": hour, "at": f"2026-03-02T{hour:02}:10:00Z", "label": label}


def landing(
    store: Store, batch: str, records: Records, contract: Contract | None = None, broken: int = 0
) -> LandingReceipt:
    """Land records, and as many broken ones, as one batch."""
    data = lines(*(record(*each) for each in records), *(f"{BROKEN} {n} of {batch}" for n in range(broken)))
    return land(contract or few(), [raw(data, f"{batch}.ndjson")], store, batch, LandingSettings(threads=1))


def expected(batches: Mapping[str, Records]) -> Rows:
    return Counter((batch, label) for batch, records in batches.items() for _, label in records)


def shown(store: Store, room: str = paths.BRONZE) -> Rows:
    """What receipts say that a room holds, read from its files: batch and label (of quarantine, raw text)."""
    files = live_files(ledger.landings(store, SOURCE), room)
    if not files:
        return Counter()
    column = "host" if room == paths.BRONZE else "_raw"
    with asked(store) as con:
        rows = con.execute(f"select _batch, {column} from ({rows_select(addresses(store, files))})").fetchall()
    return Counter((str(batch), str(label)) for batch, label in rows)


def keys(store: Store, *rooms: str) -> list[str]:
    return [each.key for room in rooms for each in store.list(room)]


def copy(store: LocalStore, to: Path) -> LocalStore:
    """A lake with the same files, and the same times."""
    shutil.copytree(store.path, to, copy_function=shutil.copy2)
    return LocalStore(to)


def receipts_without_times(store: Store) -> dict[str, object]:
    times = (
        "landed_at",
        "first_landed_at",
        "seconds",
        "compacted_at",
        "erased_at",
        "built_at",
        "expired_at",
        "bytes",
        "bytes_after",
    )
    return {
        each.key: _without(json.loads(store.read(each.key)), times)
        for each in store.list(paths.LEDGER)
        if each.key.endswith(".json")
    }


def _without(value: object, names: Sequence[str]) -> object:
    if isinstance(value, dict):
        return {key: _without(inner, names) for key, inner in value.items() if key not in names}
    return [_without(inner, names) for inner in value] if isinstance(value, list) else value


# What the dbt project makes: a class and the dispositions of the source, never edited.
MAPPINGS = Mappings(dict.fromkeys((f"authentication__{SOURCE}", f"dispositions__{SOURCE}"), "mapping"))


def build(store: Store, hours: Sequence[str] | None = None) -> None:
    """Stand in for dbt: publish each bronze row of some hours, or of all, as a row of the class."""
    found = by_hour(live_files(ledger.landings(store, SOURCE)))
    inputs = bronze_inputs(ledger.landings(store, SOURCE))
    for hour in (
        hours if hours is not None else sorted({*found, *build_receipts.of_model(store, f"dispositions__{SOURCE}")})
    ):
        files = addresses(store, found.get(hour, []))
        rows = sum(file.rows for file in found.get(hour, []))
        for model in MAPPINGS.models_of(SOURCE):
            with Workplace(store, "build") as place, asked(store) as con:
                table = model.split("__")[0]
                folder = paths.outcomes_folder(SOURCE) if table == "dispositions" else f"silver/{table}/source={SOURCE}"
                key = f"{folder}/{paths.hour_folder(ledger.hour(hour))}/part.parquet"
                out, moves = place.path / "part.parquet", []
                if files:
                    uid = "_event_key" if table == "dispositions" else "{'uid': _event_key} as metadata"
                    select = f"select {uid}, _batch, _source_object, _source_row from ({rows_select(files)})"
                    con.execute(f"copy ({select}) to '{out}' (format parquet)")
                    moves = [(place.key_of(out), key)]
                receipt = BuildReceipt(
                    model=model,
                    source=SOURCE,
                    table=table,
                    hour=hour,
                    rows=rows,
                    bytes=out.stat().st_size if files else 0,
                    inputs=tuple(inputs.get(hour, ())),
                    mapping="mapping",
                    built_at="",
                    file=key if files else "",
                    counts={"rows": rows} if table == "dispositions" else {},
                    digest=ledger.digest_of(out if files else None),
                )
                change = Change(
                    moves=tuple(moves),
                    deletes=() if files else (key,),
                    receipts=tuple(build_receipts.merged_days(store, model, [receipt])),
                )
                publish(store, lambda change=change: change)  # type: ignore[misc]


def stale(store: Store) -> list[str]:
    return [each.hour for each in stale_hours(store, MAPPINGS, SOURCE)]
