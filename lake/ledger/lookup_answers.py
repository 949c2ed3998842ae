"""Answers of lookup providers: an interval table in the lake, with a receipt for each provider that names its files.

An answer holds from when the one before it expired (the first: from 1970) until it expires itself. So an event gets the
answer that was held at its time, or else the first one after it; answers that come later never change what it got.
Files are written once and never changed. Small ones are merged now and then; the files before a merge stay for another
day, for a build may be reading them.
"""

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

import msgspec

from lake.base.errors import tell_omission
from lake.base.sql import empty_select, literal
from lake.ledger import BrokenReceipt, decoded
from lake.storage import paths
from lake.storage.publish import Change, Workplace, publish
from lake.storage.store import Store

if TYPE_CHECKING:  # every command reads receipts, few read answers
    import pyarrow as pa

FIRST = datetime(1970, 1, 1)
COLUMNS = {
    "provider": "VARCHAR",  # the name that the settings give it
    "kind": "VARCHAR",
    "value": "VARCHAR",
    "prefix": "UTINYINT",
    "key_high": "UBIGINT",
    "key_low": "UBIGINT",
    "key": "VARCHAR",  # both halves in 32 hexadecimal digits
    "status": "VARCHAR",  # known, unknown (the provider has nothing on it), refused (it does not take the question)
    "data": "VARCHAR",  # a JSON object without blanks: the useful fields of the answer
    "score": "DOUBLE",  # as the provider counts
    "score_id": "INTEGER",  # OCSF reputation.score_id
    "asked_at": "TIMESTAMP",
    "valid_from": "TIMESTAMP",
    "valid_to": "TIMESTAMP",  # when the answer expired, or will
    "learned_at": "TIMESTAMP",
}
_MOST_FILES, _SMALL_ROWS = 32, 20_000
_SUPERSEDED_STAY = timedelta(days=1)


class AnswerFile(msgspec.Struct, frozen=True):
    """One file with answers: key, rows, bytes."""

    key: str
    rows: int
    bytes: int


class AnswersReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """Which files hold the answers of a provider. `version` grows by one with each writing.

    `superseded` are (key, since when) of files whose rows are in merged ones now; a day later they go.
    """

    provider: str
    version: int = 0
    files: tuple[AnswerFile, ...] = ()
    superseded: tuple[tuple[str, str], ...] = ()
    written_at: str = ""

    @property
    def answers(self) -> int:
        """Return how many answers there are."""
        return sum(file.rows for file in self.files)


_answers = msgspec.json.Decoder(AnswersReceipt)


def providers(store: Store) -> list[str]:
    """Return the names of the providers that were ever asked."""
    return list(store.folders(f"{paths.LEDGER}/lookups"))


def receipt_of(store: Store, provider: str) -> AnswersReceipt:
    """Return the receipt of a provider's answers; an empty one when there are none. Raises BrokenReceipt."""
    key = paths.lookup_receipt(provider)
    try:
        return decoded(key, store.read(key), _answers)
    except FileNotFoundError:
        return AnswersReceipt(provider=provider)


def readable_receipts(store: Store, names: Iterable[str]) -> dict[str, AnswersReceipt]:
    """Return the receipts of the answers of providers; one that is damaged is told and left out."""
    found = {}
    for name in names:
        try:
            found[name] = receipt_of(store, name)
        except BrokenReceipt as problem:
            tell_omission(f"{problem}; until then events go without the answers of {name}")
    return found


def versions(store: Store) -> dict[str, str]:
    """Return, as receipts of builds keep it, which answers there are: `lookups:<provider>` → version."""
    receipts = readable_receipts(store, providers(store))
    return {f"lookups:{name}": str(each.version) for name, each in receipts.items()}


def answers_sql(store: Store, names: Iterable[str] | None = None) -> str:
    """Return a SELECT over the answers of some providers, or of all; no rows where there are none."""
    receipts = readable_receipts(store, providers(store) if names is None else names).values()
    files = [literal(store.url(file.key)) for receipt in receipts for file in receipt.files]
    if not files:
        return empty_select(COLUMNS.items())
    return f"select {', '.join(COLUMNS)} from read_parquet([{', '.join(files)}], hive_partitioning = false)"


@cache
def schema() -> "pa.Schema":
    """Return the columns as Arrow has them."""
    import pyarrow as pa

    types = {
        "VARCHAR": pa.string(),
        "UTINYINT": pa.uint8(),
        "UBIGINT": pa.uint64(),
        "DOUBLE": pa.float64(),
        "INTEGER": pa.int32(),
        "TIMESTAMP": pa.timestamp("us"),
    }
    return pa.schema([(name, types[type_]) for name, type_ in COLUMNS.items()])


def add_answers(store: Store, place: Workplace, provider: str, rows: "pa.Table", at: datetime) -> AnswersReceipt:
    """Publish answers (`schema`) as one file more. Call it while the provider's lock is held: one writer at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    held = receipt_of(store, provider)
    small = [file for file in held.files if file.rows < _SMALL_ROWS]
    merged = len(held.files) >= _MOST_FILES and len(small) > 1
    parts = [_read(store, file.key) for file in small] if merged else []
    path = place.path / f"{uuid.uuid4().hex}.parquet"
    pq.write_table(pa.concat_tables([*parts, rows.cast(schema())]), path, compression="zstd")
    key = paths.lookup_answers(provider, f"answers-{held.version + 1:06d}-{uuid.uuid4().hex[:8]}")
    made = AnswerFile(key, rows.num_rows + sum(part.num_rows for part in parts), path.stat().st_size)
    kept = [file for file in held.files if not (merged and file in small)]
    gone = [(file, since) for file, since in held.superseded if since <= _text(at - _SUPERSEDED_STAY)]
    receipt = AnswersReceipt(
        provider=provider,
        version=held.version + 1,
        files=(*kept, made),
        superseded=(
            *(each for each in held.superseded if each not in gone),
            *((file.key, _text(at)) for file in small if merged),
        ),
        written_at=_text(at),
    )
    change = Change(
        moves=((place.key_of(path), key),),
        receipts=((paths.lookup_receipt(provider), msgspec.json.encode(receipt).decode()),),
        deletes=tuple(file for file, _ in gone),
    )
    publish(store, lambda: change)
    return receipt


def _read(store: Store, key: str) -> "pa.Table":
    import pyarrow.parquet as pq

    with store.open(key) as file:
        return pq.read_table(file, schema=schema())


def _text(at: datetime) -> str:
    return at.isoformat(timespec="seconds")
