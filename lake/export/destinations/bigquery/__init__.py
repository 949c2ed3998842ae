"""BigQuery: a table per export, partitioned by event hour; a load job replaces a partition whole.

An hour is one Parquet file, uploaded by a load job into `table$YYYYMMDDHH` with WRITE_TRUNCATE, which replaces the
partition by one act. A push first waits for jobs that an earlier push left running on the partition.
"""

import hashlib
import re
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from lake.export.declaration import EVENT_ID
from lake.export.destination import LOOPBACK, NOTHING, Delivery, Held, Partition, Place
from lake.export.destinations.bigquery import columns as fields
from lake.export.destinations.bigquery.jobs import PUSH_LABEL, Missing, Requests, Taken
from lake.export.destinations.bigquery.rows import nulls_in_lists, select_of
from lake.export.errors import BadDeclaration, ExportError, RowsRefused, SchemaConflict
from lake.export.json_sql import Column, columns_of
from lake.export.rows import Reader

TYPES = {
    "boolean": "BOOL",
    "integer": "INT64; of unsigned 64 bits NUMERIC",
    "number": "FLOAT64; decimals NUMERIC, or BIGNUMERIC beyond 29 digits before or 9 behind the point",
    "text": "STRING",
    "timestamp": "TIMESTAMP (µs, UTC)",
    "date": "DATE",
    "binary": "BYTES",
    "json": "STRING, the JSON text (`JSON_VALUE(unmapped, '$.a')`, `PARSE_JSON`)",
    "object": "STRUCT",
    "list": "ARRAY; a list of lists is an ARRAY of STRUCT<element ARRAY>",
    "map": "ARRAY of STRUCT<key, value>",
}
NOTES = (
    "Arrays of BigQuery are never NULL: a list or map that is NULL is an empty one there.",
    "Arrays of BigQuery hold no NULL: NULL elements of lists are left out; the receipt tells how many.",
    "JSON is text: BigQuery loads no JSON type from Parquet, and its JSON type does not keep every number.",
    "A column `_event_hour` is added, the partition; queries must filter by it.",
    "A table holds 10,000 partitions, 13 months of hours; older hours must go first.",
)
_CLUSTERED_BY = ("source", "class_uid", "type_uid", "severity_id")
_LABEL = re.compile(r"[a-z][a-z0-9_-]{0,62}\Z")
_ID = re.compile(r"[A-Za-z0-9_]{1,1024}\Z")
_EVOLVING_TRIES = 5


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`project` and `dataset` of the tables. Credentials are Google's Application Default Credentials.

    The dataset is made when it is missing, in `location`, unless `create_dataset` is false. `labels` are put on tables
    and jobs. An hour of more than `max_load_bytes` (compressed) is not sent. `cluster_by` names up to four columns;
    those are used that a table has. `endpoint` is another address of the API.
    """

    project: str
    dataset: str
    location: str | None = None
    labels: dict[str, str] = {}
    create_dataset: bool = True
    cluster_by: tuple[str, ...] = _CLUSTERED_BY
    max_load_bytes: int | None = None
    endpoint: str | None = None
    retry_seconds: float = 120.0
    request_seconds: float = 120.0
    job_seconds: float = 3600.0


def open_destination(name: str, options: Options, place: Place) -> "BigQuery":
    """Return the destination; no request is made.

    Raises:
        BadDeclaration: naming the setting.
    """
    for label, value in options.labels.items():
        if not _LABEL.match(label) or not re.fullmatch(r"[a-z0-9_-]{0,63}", value):
            raise BadDeclaration(f"destinations.{name}: labels: {label}: {value!r}: small letters, digits, - and _")
    if not _ID.match(options.dataset):
        raise BadDeclaration(f"destinations.{name}: dataset: {options.dataset!r}: letters, digits and _")
    if not re.fullmatch(r"[a-z0-9.:-]{1,128}", options.project):
        raise BadDeclaration(f"destinations.{name}: project: {options.project!r}: a project id, such as my-project-7")
    if len(options.cluster_by) > 4:
        raise BadDeclaration(f"destinations.{name}: cluster_by: BigQuery takes four columns at most")
    address = urlsplit(options.endpoint or "https://")
    if address.scheme != "https" and address.hostname not in LOOPBACK:
        raise BadDeclaration(f"destinations.{name}: endpoint: {options.endpoint!r}: expected https://…")
    return BigQuery(options, place)


class BigQuery:
    """One dataset of one project."""

    def __init__(self, options: Options, place: Place) -> None:
        self._options, self._work = options, place.work
        self._requests = Requests(
            f"BigQuery {options.project}.{options.dataset}",
            options.project,
            options.location,
            options.endpoint,
            options.retry_seconds,
            options.request_seconds,
            options.job_seconds,
        )
        self._looked = False

    @property
    def identity(self) -> str:
        """Return project and dataset, and the address where it is another one."""
        there = f" at {self._options.endpoint}" if self._options.endpoint else ""
        return f"bigquery {self._options.project}.{self._options.dataset}{there}"

    def push(self, table: str, partition: Partition, reader: Reader) -> Delivery:
        """Replace the partition; an hour without rows is deleted, and makes no table."""
        self._look()
        job, size = "", 0
        notes: tuple[str, ...] = ()
        if reader.rows:
            job, size, notes = self._load(table, partition, reader)
        else:
            self._settle(table, partition, "")
            self._delete(table, partition)
        held, query = self._counted(table, partition)
        remote = {"table": self._name(table), "query": query, **({"load": job} if job else {})}
        return Delivery(held=held, bytes=size, proof="query", remote=remote, notes=notes)

    def read_back(self, table: str, partition: Partition) -> Held:
        """Count the partition's rows and sum their ids, by a query of two columns of one partition."""
        self._look()
        return self._counted(table, partition)[0]

    def close(self) -> None:
        """End connections."""
        self._requests.close()

    def _name(self, table: str) -> str:
        return f"{self._options.project}.{self._options.dataset}.{table}"

    def _look(self) -> None:
        """Make sure that the dataset is there, and know its location: a job is found by it."""
        if self._looked:
            return
        self._requests.connect()
        requests, options = self._requests, self._options
        name = f"{options.project}.{options.dataset}"
        try:
            dataset = requests.call("get_dataset", name)
        except Missing as problem:
            if not options.create_dataset:
                raise ExportError(
                    f"BigQuery has no dataset {name} ({problem}): make it, or set create_dataset: true"
                ) from None
            dataset = self._made_dataset(name)
        if options.location and dataset.location and dataset.location.lower() != options.location.lower():
            raise ExportError(
                f"BigQuery dataset {name} is in {dataset.location}, the settings say {options.location}:"
                " say where it is"
            )
        requests.location = dataset.location or options.location
        self._looked = True

    def _made_dataset(self, name: str) -> Any:
        from google.cloud import bigquery

        made = bigquery.Dataset(name)
        made.labels = dict(self._options.labels)
        if self._options.location:
            made.location = self._options.location
        requests = self._requests
        try:
            return requests.call("create_dataset", made)
        except Taken:  # by another push, or by this one, whose answer was lost
            return requests.call("get_dataset", name)

    def _load(self, table: str, partition: Partition, reader: Reader) -> tuple[str, int, tuple[str, ...]]:
        """Write the file and load it; return the job's id, the bytes, and what a person should know."""
        with reader.connect() as con:
            columns = columns_of(con.sql("from exported"))
            counting = nulls_in_lists(columns)
            left_out = con.execute(counting).fetchone()[0] if counting else 0  # type: ignore[index]
        schema = self._evolved(table, columns)
        self._work.mkdir(parents=True, exist_ok=True)
        file = self._work / f"bigquery-{uuid.uuid4().hex}.parquet"
        try:
            reader.write(select_of(schema, columns, partition), file)
            size, most = file.stat().st_size, self._options.max_load_bytes
            if most is not None and size > most:
                raise RowsRefused(
                    f"{self._name(table)} {partition}: the file has {size:,} bytes, max_load_bytes is {most:,}; nothing"
                    " was sent. Raise it, or reduce the export"
                )
            job = self._loaded(table, partition, file, schema)
        finally:
            file.unlink(missing_ok=True)
        notes = (f"{left_out:,} NULL elements of lists were left out: BigQuery's arrays hold none",) if left_out else ()
        return job, size, notes

    def _evolved(self, table: str, columns: list[Column]) -> list[fields.Field]:
        """Make the table, or add and widen columns, and return its fields; nothing is changed where they conflict."""
        requests, name = self._requests, self._name(table)
        wanted = fields.table_fields(name, columns)
        for _ in range(_EVOLVING_TRIES):
            try:
                there = requests.call("get_table", name)
            except Missing:
                with suppress(Taken):
                    self._make(table, wanted)
                continue
            held = [each.to_api_repr() for each in there.schema]
            partitioning = there.time_partitioning
            if partitioning is None or (partitioning.type_, partitioning.field) != ("HOUR", fields.HOUR):
                raise SchemaConflict(
                    f"{name} exists and is not partitioned by the hour of {fields.HOUR}. Nothing was changed there."
                    " Export to another table (`table` in the model's meta.exports)"
                )
            change, after = fields.planned(name, held, wanted)
            try:
                if change.widened:
                    self._widen(table, fields.merged(held, (), change.widened), change.widened)
                elif change.added:
                    self._add(there, after)
                else:
                    return after
            except Taken:  # another push changed the table meanwhile: look again
                continue
        raise ExportError(f"{name} is changed by others all the time: push again")

    def _make(self, table: str, wanted: list[fields.Field]) -> None:
        from google.cloud import bigquery

        schema = [bigquery.SchemaField.from_api_repr(each) for each in wanted]
        made = bigquery.Table(self._name(table), schema=schema)
        made.time_partitioning = bigquery.TimePartitioning(type_="HOUR", field=fields.HOUR)
        made.require_partition_filter = True
        simple = {
            each["name"] for each in wanted if each["type"] not in ("RECORD", "FLOAT") and each["mode"] != "REPEATED"
        }
        if clustered := [each for each in self._options.cluster_by if each in simple]:
            made.clustering_fields = clustered
        made.labels = dict(self._options.labels)
        requests = self._requests
        requests.call("create_table", made)

    def _add(self, there: Any, after: list[fields.Field]) -> None:
        from google.cloud import bigquery

        there.schema = [bigquery.SchemaField.from_api_repr(each) for each in after]
        requests = self._requests
        requests.call("update_table", there, ["schema"])  # holds to the etag

    def _widen(self, table: str, after: list[fields.Field], widened: dict[str, str]) -> None:
        tops = {name.partition(".")[0] for name in widened}
        for each in after:
            if each["name"].lower() in tops:
                self._query(
                    f"ALTER TABLE `{self._name(table)}` ALTER COLUMN {fields.sql_name(each)}"
                    f" SET DATA TYPE {fields.sql_type(each)}"
                )

    def _job_prefix(self, table: str, partition: Partition) -> str:
        said = f"{self.identity}|{table}|{partition}"
        return f"headwater-{hashlib.sha256(said.encode()).hexdigest()[:20]}-"

    def _settle(self, table: str, partition: Partition, kept: str) -> None:
        """Let no job of an earlier push end after this one: those of other rows than `kept` are cancelled."""
        requests = self._requests
        for job in requests.running(self._job_prefix(table, partition)):
            if not kept or not job.job_id.startswith(kept):
                job_id, where = job.job_id, job.location or requests.location
                requests.call("cancel_job", job_id, location=where)
                requests.waited(job)

    def _loaded(self, table: str, partition: Partition, file: Path, schema: list[fields.Field]) -> str:
        """Load a file; the job's id says partition, rows and columns, so that a retry is the same job."""
        with file.open("rb") as data:
            content = hashlib.file_digest(data, "sha256").hexdigest()[:32]
            job_id = f"{self._job_prefix(table, partition)}{content}"
            self._settle(table, partition, job_id)
            push = uuid.uuid4().hex
            config = self._load_config(schema, push)
            requests, size = self._requests, file.stat().st_size

            def start(named: str) -> Any:
                return requests.client.load_table_from_file(
                    data,
                    f"{self._name(table)}${partition.hour:%Y%m%d%H}",
                    rewind=True,
                    size=size,
                    num_retries=0,
                    job_id=named,
                    location=requests.location,
                    job_config=config,
                    timeout=self._options.request_seconds,
                )

            job = requests.run(job_id, push, start, lambda: f"{job_id}-{uuid.uuid4().hex[:12]}")
        return str(job.job_id)

    def _load_config(self, schema: list[fields.Field], push: str) -> Any:
        from google.cloud import bigquery

        config = bigquery.LoadJobConfig()
        config.source_format = bigquery.SourceFormat.PARQUET
        config.write_disposition = bigquery.WriteDisposition.WRITE_TRUNCATE
        config.create_disposition = bigquery.CreateDisposition.CREATE_NEVER
        config.schema = [bigquery.SchemaField.from_api_repr(each) for each in schema]
        config.parquet_options = bigquery.ParquetOptions()  # type: ignore[no-untyped-call]
        config.parquet_options.enable_list_inference = True
        config.labels = self._labels(push)
        return config

    def _labels(self, push: str) -> dict[str, str]:
        return {**self._options.labels, PUSH_LABEL: push}

    def _delete(self, table: str, partition: Partition) -> None:
        """Delete a partition's rows; BigQuery drops a partition that is deleted whole without reading it."""
        try:
            self._query(f"DELETE FROM `{self._name(table)}` WHERE {_within(partition)}")
        except Missing:
            return

    def _counted(self, table: str, partition: Partition) -> tuple[Held, str]:
        """Return what a partition holds, and the query's job. A table that is not there holds nothing."""
        checksum = f"SUM(CAST(CONCAT('0x', SUBSTR(TO_HEX(MD5({EVENT_ID})), 1, 8)) AS INT64))"
        try:
            job = self._query(
                f"SELECT COUNT(*) AS held_rows, COALESCE({checksum}, 0) AS held_checksum"
                f" FROM `{self._name(table)}` WHERE {_within(partition)}"
            )
        except Missing:
            return NOTHING, ""
        requests = self._requests
        ((rows, checksum_held),) = requests.asked(
            lambda: [(row["held_rows"], row["held_checksum"]) for row in job.result(job_retry=None, **requests.timing)]
        )
        return Held(rows=int(rows), checksum=int(checksum_held)), str(job.job_id)

    def _query(self, sql: str) -> Any:
        from google.cloud import bigquery

        requests, push = self._requests, uuid.uuid4().hex
        config = bigquery.QueryJobConfig(labels=self._labels(push), use_query_cache=False)

        def start(named: str) -> Any:
            return requests.client.query(
                sql, job_id=named, job_config=config, location=requests.location, job_retry=None, **requests.timing
            )

        def new_id() -> str:
            return f"headwater-query-{uuid.uuid4().hex}"

        return requests.run(new_id(), push, start, new_id)


def _within(partition: Partition) -> str:
    return f"{fields.HOUR} = TIMESTAMP('{partition.hour:%Y-%m-%d %H}:00:00+00:00')"
