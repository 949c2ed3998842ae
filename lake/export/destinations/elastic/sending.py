"""Sending the documents of an hour in bodies, until each document is taken or refused."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import duckdb
import pyarrow as pa

from lake.base.http import GaveUp, Retry, Tries
from lake.base.sql import literal
from lake.export.declaration import EVENT_ID
from lake.export.destination import Partition, Refusal
from lake.export.destinations.elastic.cluster import Cluster, Ended, TooLarge
from lake.export.ecs import classes_of, document
from lake.export.errors import DestinationDenied, DestinationUnavailable, ExportError, one_line
from lake.export.json_sql import columns_of
from lake.export.rows import Reader

_ROWS = 1024
_TAKEN = (200, 201)


@dataclass(frozen=True)
class Row:
    """One document to send: id in Elasticsearch, event id, source, and its text."""

    id: str
    event_id: str
    source: str
    text: bytes


@dataclass
class Sending:
    """Sends documents to one index, and keeps what has become of them so far.

    With `create`, as a data stream wants, what is there already (409) is taken: it is of a push that broke off.
    """

    cluster: Cluster
    index: str
    create: bool
    batch_bytes: int
    retry_seconds: float
    sent_bytes: int = 0
    requests: int = 0
    refused: list[Refusal] = field(default_factory=list)

    def send(self, rows: Iterator[Row]) -> None:
        """Send documents, as many in a body as it may hold.

        Raises:
            DestinationDenied, DestinationUnavailable, RowsRefused: some may have been taken.
        """
        batch: list[Row] = []
        size = 0
        for row in rows:
            if batch and size + len(row.text) > self.batch_bytes:
                self._send(batch)
                batch, size = [], 0
            batch.append(row)
            size += len(row.text) + 100
        if batch:
            self._send(batch)

    def _send(self, batch: list[Row]) -> None:
        """Send documents until each is taken or refused. Busy shards refuse some of a body: these are sent again."""
        tries = Tries(self.index, Retry(total_seconds=self.retry_seconds))
        while batch:
            try:
                ended, size = self.cluster.bulk(self.index, self._body(batch))
            except TooLarge as problem:
                if len(batch) > 1:
                    for part in (batch[: len(batch) // 2], batch[len(batch) // 2 :]):
                        self._send(part)
                    return
                self.refused.append(_refusal(batch[0], "413", str(problem)))
                return
            self.sent_bytes, self.requests = self.sent_bytes + size, self.requests + 1
            batch, last = self._left(batch, ended)
            if batch:
                try:
                    tries.failed(last)
                except GaveUp as problem:
                    raise DestinationUnavailable(
                        f"{self.index}: {len(batch):,} documents of a body were not taken ({last}), tried"
                        f" {problem.tries} times in {problem.seconds:.0f} s; push again later"
                    ) from None

    def _body(self, batch: list[Row]) -> bytes:
        action = "create" if self.create else "index"
        return b"".join(b'{"%s":{"_id":"%s"}}\n%s\n' % (action.encode(), row.id.encode(), row.text) for row in batch)

    def _left(self, batch: list[Row], ended: Sequence[Ended]) -> tuple[list[Row], str]:
        """Return the documents to send again, and why; keep those that are refused."""
        if len(ended) != len(batch):
            raise DestinationUnavailable(f"{self.index}: {len(ended)} answers to {len(batch)} documents")
        left, last = [], ""
        for row, each in zip(batch, ended, strict=True):
            if each.status in _TAKEN or (each.status == 409 and self.create):
                continue
            if each.status in (401, 403):
                raise DestinationDenied(f"{self.index}: {each.type}: {each.reason}")
            if each.status == 429 or each.status >= 500:
                left.append(row)
                last = _said(each)
            else:
                self.refused.append(_refusal(row, each.type or str(each.status), each.reason))
        return left, last


def token(reader: Reader) -> str:
    """Return what tells the rows of this hour from any others: their number, and a hash over all their texts."""
    with _telling(), reader.connect() as con:
        columns = columns_of(con.sql("from exported"))
        text = document(columns, classes_of(con, columns), {})
        row = con.execute(f"select count(*), bit_xor(md5_number({EVENT_ID} || {text})) from exported").fetchone()
    rows, digest = row or (0, 0)
    return f"{rows}-{hashlib.sha256(str(digest).encode()).hexdigest()[:32]}"


def rows(table: str, partition: Partition, reader: Reader, push: str) -> Iterator[Row]:
    """Yield the documents of an hour in the order of its rows; `push` is what `token` gives.

    Raises:
        ExportError: DuckDB cannot write them.
    """
    with _telling(), reader.connect() as con:
        columns = columns_of(con.sql("from exported"))
        part = f"('0x' || substr(md5({EVENT_ID}), 1, 8))::bigint"
        own = {
            "event_id": f"to_json({EVENT_ID})::varchar",
            "table": f"to_json({literal(table)})::varchar",
            "hour": f"to_json({literal(str(partition))})::varchar",
            "push": f"to_json({literal(push)})::varchar",
            "checksum_high": f"({part} >> 16)::varchar",
            "checksum_low": f"({part} & 65535)::varchar",
        }
        text = document(columns, classes_of(con, columns), own)
        source = "source" if any(each.name == "source" for each in columns) else "''"
        of_hour = literal(f"{table}\n{partition}\n")
        batches = con.execute(
            f"select substr(sha256({of_hour} || {EVENT_ID}), 1, 40), {EVENT_ID}, coalesce({source}, ''), encode({text})"
            " from exported"
        ).to_arrow_reader(_ROWS)
        for batch in batches:
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                yield Row(*row)


@contextmanager
def _telling() -> Iterator[None]:
    try:
        yield
    except (duckdb.Error, UnicodeDecodeError, pa.ArrowException) as problem:
        raise ExportError(f"the rows cannot be written as documents: {one_line(problem)}") from problem


def _refusal(row: Row, code: str, said: str) -> Refusal:
    return Refusal(event_id=row.event_id, source=row.source, code=code, said=said)


def _said(ended: Ended) -> str:
    return f"{ended.status} {ended.type}: {ended.reason}"
