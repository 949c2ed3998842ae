"""Rows that a destination refused by themselves: kept whole, with the destination's own code, and queryable.

What belongs here: writing them beside the receipt. What does not: finding out which they are (the destination).
"""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from lake.base.sql import literal
from lake.export.destination import EVENT_ID, Refusal
from lake.export.json_sql import columns_of, json_text
from lake.export.rows import Reader

COLUMNS = pa.schema(
    [
        (EVENT_ID, pa.string()),
        ("source", pa.string()),
        ("code", pa.string()),
        ("said", pa.string()),
        ("event", pa.string()),
    ]
)


def write_refused(reader: Reader, refused: Sequence[Refusal], to: Path) -> None:
    """Write the refused rows: id, source, code, the destination's words, and the row as JSON."""
    told = pa.table(
        {
            EVENT_ID: [each.event_id for each in refused],
            "source": [each.source for each in refused],
            "code": [each.code for each in refused],
            "said": [each.said for each in refused],
        },
        schema=pa.schema(list(COLUMNS)[:4]),
    )
    to.parent.mkdir(parents=True, exist_ok=True)
    with reader.connect() as con:
        con.register("told", told)
        event = json_text(columns_of(con.sql("from exported")))
        con.execute(
            f"copy (select told.*, event from told left join (select {EVENT_ID}, {event} as event from exported)"
            f" using ({EVENT_ID})) to {literal(str(to))} (format parquet, compression zstd)"
        )
