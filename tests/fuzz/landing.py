"""Landing mutated records in batches, and holding what the lake has against what was written."""

import codecs
import io
import json
import re
import traceback
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ingest.contracts import contract_of, source_names
from ingest.landing import LandingError, LandingSettings, land
from ingest.objects import RawObject
from lake.base.sql import at_hand
from lake.ledger import LandingReceipt
from lake.storage import paths
from lake.storage.publish import open_store
from lake.storage.store import Store
from tests.fuzz.mutate import Mutator

GOLDEN = Path(__file__).parents[1] / "dbt" / "golden"
ARRIVED = datetime(2026, 3, 2, 6, 30, tzinfo=UTC)
BATCH_RECORDS = 5_000
_SOUND_EVERY = 25  # records; all of these neighbours have to land
_SETTINGS = LandingSettings(stalls_as="null")
_QUOTED = re.compile(r'"[^"]*"|\[[^\]]*\]|\S+')


@dataclass
class Counts:
    """What became of the mutated records of one source. `failed` and what follows name what should not be."""

    records: int = 0
    read: int = 0
    landed: int = 0
    coverage: int = 0
    by_reason: Counter[str] = field(default_factory=Counter)
    unprocessable: list[str] = field(default_factory=list)  # the errors; each is something to mend
    failed: list[str] = field(default_factory=list)  # batches that did not land, with the sentence
    untold: list[str] = field(default_factory=list)  # batches of which not every record is in the receipt
    stopped: list[str] = field(default_factory=list)  # batches of which a sound record did not land
    astray: list[str] = field(default_factory=list)  # files under an hour in which no event can be
    tracebacks: list[str] = field(default_factory=list)
    crashes: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> int:
        """How much went wrong."""
        return sum(map(len, (self.failed, self.untold, self.stopped, self.astray, self.tracebacks, self.crashes)))

    def add(self, other: "Counts") -> None:
        """Add what another part of the source's records came to."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


@dataclass(frozen=True)
class Sample:
    """Golden records that an object may hold together: JSON objects, or lines as lists of values behind a header."""

    records: list[Any]
    header: bytes = b""

    @property
    def sound(self) -> bytes:
        """The first record as it is."""
        first = self.records[0]
        return json.dumps(first).encode() if isinstance(first, dict) else " ".join(first).encode()


def samples(source: str) -> list[Sample]:
    """Return the golden records of a source."""
    texts = {file: file.read_text().splitlines() for file in sorted((GOLDEN / source).glob("*.log"))}
    if texts and contract_of(source).format.has_header:
        return [Sample([line.split(" ") for line in lines[1:]], lines[0].encode()) for lines in texts.values()]
    if texts:
        return [Sample([_QUOTED.findall(line) for lines in texts.values() for line in lines])]
    files = sorted((GOLDEN / source).glob("*.ndjson"))
    return [Sample([json.loads(line) for file in files for line in file.read_text().splitlines()])]


def sources() -> list[str]:
    """Return the sources that have golden records."""
    return [name for name in source_names() if (GOLDEN / name).is_dir()]


def batch(source: str, seed: int, number: int, records: int = BATCH_RECORDS) -> tuple[str, bytes]:
    """Return name and text of a batch: a line for each record, some as they are. Each has its own randomness."""
    several = samples(source)
    sample = several[number % len(several)]
    mutator = Mutator((source, seed, number), tuple(each.path for each in contract_of(source).event_times))
    lines = list(mutator.records(sample.records, records))
    lines[::_SOUND_EVERY] = [sample.sound] * len(lines[::_SOUND_EVERY])
    return f"fuzz-{seed}-{number:05d}", b"\n".join([sample.header, *lines, b""] if sample.header else [*lines, b""])


def land_batch(lake: Path, source: str, name: str, data: bytes, records: int = BATCH_RECORDS) -> Counts:
    """Land the text of a batch that holds so many records, and return what became of them."""
    store, counts = open_store(lake), Counts(records=records)
    raw = RawObject(f"{name}.log", lambda: io.BytesIO(data), len(data), ARRIVED, name)
    try:
        receipt = land(contract_of(source), [raw], store, name, _SETTINGS)
    except LandingError as problem:
        counts.failed.append(str(problem)[:500])
    except Exception:
        counts.tracebacks.append(traceback.format_exc()[-1500:])
    else:
        _count(counts, receipt, store)
        # A byte order mark begins a new text, so how many records there are is then not known beforehand.
        if codecs.BOM_UTF8 not in data and counts.read + counts.coverage != records:
            counts.untold.append(f"{name}: {records} written, {counts.read} + {counts.coverage} read")
        sound = samples(source)[int(name[-5:]) % len(samples(source))].sound
        written, found = data.split(b"\n").count(sound), _landed_as(sound, lake, receipt)
        if found < written:
            counts.stopped.append(f"{name}: {written - found} of {written} sound records did not land")
    return counts


def _landed_as(text: bytes, lake: Path, receipt: LandingReceipt) -> int:
    """Return how many records of a batch are in bronze as this text."""
    files = [str(lake / each.key) for each in receipt.files if each.key.startswith("bronze/")]
    sql = "select count(*) from read_parquet(?, union_by_name = true, hive_partitioning = false) where _raw = ?"
    return at_hand().execute(sql, [files, text.decode()]).fetchall()[0][0] if files else 0


def _count(counts: Counts, receipt: LandingReceipt, store: Store) -> None:
    counts.read += receipt.read
    counts.landed += receipt.landed
    counts.by_reason.update(receipt.quarantined_by_reason)
    coverage = sum(each.records for each in receipt.coverage)
    counts.coverage += coverage
    if receipt.read != receipt.landed + receipt.quarantined:
        counts.untold.append(f"{receipt.batch}: {receipt.read} read, {receipt.landed} + {receipt.quarantined} kept")
    counts.unprocessable += [each.found for each in receipt.violations if each.reason == "unprocessable"]
    latest = datetime.now(UTC).replace(tzinfo=None) + timedelta(days=1)
    for mark in receipt.files:
        hour = paths.hour_of(mark.key)
        if hour is None or not datetime(1970, 1, 1) <= hour <= latest or store.info(mark.key) is None:
            counts.astray.append(mark.key)
