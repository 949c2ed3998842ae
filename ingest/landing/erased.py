"""Records that were erased on request do not come back: they are dropped before their batch is published.

What belongs here: asking the standing erasures of what was staged. What does not: erasing what has landed, or what a
condition may be (`lake.upkeep.erasure_rules`, `lake.query.condition`).
"""

from collections.abc import Callable, Sequence

import duckdb

from ingest.contracts import Contract
from ingest.contracts.bronze import pipeline_columns
from ingest.landing.publish import ErasureAsked, publish_landing
from ingest.landing.stage import Staged
from lake import ledger
from lake.ledger.receipts import LandingReceipt, Removed
from lake.storage import paths
from lake.storage.store import Store
from lake.upkeep.erasure_rules import Columns, Standing, drop, standing

_TRIES = 5  # erasures that may be asked for while one batch is published


def bronze_columns(contract: Contract) -> Columns:
    """Return name and DuckDB type of the columns of a source's bronze table."""
    own = [(field.name, field.duckdb_type) for field in contract.fields]
    return [*own, *((column.name, column.duckdb_type) for column in pipeline_columns)]


def publish_without_erased(
    store: Store,
    contract: Contract,
    staged: Staged,
    connect: Callable[[], duckdb.DuckDBPyConnection],
    receipt: Callable[[Sequence[Removed]], LandingReceipt],
) -> LandingReceipt:
    """Drop what standing erasures are about, and publish the rest; `receipt` makes the receipt of what then is staged.

    Raises:
        NotApplicable: an erasure cannot be asked of this contract's columns.
        ErasureAsked: erasures are asked for faster than the batch can be published.
    """
    gone: list[Removed] = []
    for tries_left in reversed(range(_TRIES)):
        asked = standing(store, contract.source)
        if asked:
            with connect() as con:
                gone += _dropped(con, contract, staged, asked)
        try:
            return publish_landing(store, staged, receipt(gone), [each.erasure for each in asked])
        except ErasureAsked:
            if not tries_left:
                raise
    raise AssertionError("the last try returns or raises")


def _dropped(
    con: duckdb.DuckDBPyConnection, contract: Contract, staged: Staged, asked: Sequence[Standing]
) -> list[Removed]:
    columns, gone = bronze_columns(contract), []
    for room, files in ((paths.BRONZE, staged.bronze_files()), (paths.QUARANTINE, staged.quarantine_files())):
        for file in files:
            hour = paths.hour_of(file.as_posix())
            assert hour is not None, file  # staged by hour
            gone += drop(con, asked, columns, room, ledger.hour_text(hour), file)
    return gone
