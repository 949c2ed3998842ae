"""Parquet objects: their rows as lines of JSON, so that a row is a record like any other.

Not here: what the columns mean. Values keep their types as far as JSON has them: numbers stay numbers, times become
text, bytes are escaped.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from ingest.decode.compression import Broken
from lake.storage.duck import at_hand

MAGIC = b"PAR1"
_ROWS = 8192


def rows_as_json(file: BinaryIO) -> Iterator[bytes]:
    """The rows in order, each a line of JSON with all columns. Raises Broken after what could be read.

    `file` must be seekable: the columns are described at the end.
    """
    rows = 0
    con = at_hand()
    try:
        for batch in pq.ParquetFile(file).iter_batches(batch_size=_ROWS):
            con.register("parquet_rows", pa.Table.from_batches([batch]))
            found = con.execute("select to_json(parquet_rows)::varchar || chr(10) as line from parquet_rows")
            for chunk in found.to_arrow_table().column("line").chunks:
                yield "".join(chunk.to_pylist()).encode()
            rows += batch.num_rows
    except (pa.ArrowException, OSError, duckdb.Error) as error:
        first_line = (str(error) or type(error).__name__).splitlines()[0]
        raise Broken(f"the Parquet file cannot be read on after {rows:,} rows: {first_line}") from None
    finally:
        con.close()
