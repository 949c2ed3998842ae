"""The BigQuery emulator with what BigQuery does and the emulator (1.4.0) does not, run in the emulator's own Python.

BigQuery's documented behaviour is put into the emulator before it starts. As the emulator comes, a load cannot name a
partition, forgets the id of its job, empties the table when it fails, converts any type into any other; a changed
schema changes nothing; no partition filter is ever required; small uploads of Google's client are refused for their
content type. BIGNUMERIC holds whole numbers of 38 digits here; in the service 38 digits before the point and 38 behind
it.

`POST /upload/bigquery/v2/slow/<seconds>` lets every load from then on run for so long before it commits.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import re
import shutil
import signal
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from bqemulator.api.routes import jobs, tables, upload
from bqemulator.catalog.etag import generate_etag
from bqemulator.catalog.models import JobMeta, TableMeta, TableSchema
from bqemulator.cli import main
from bqemulator.domain.errors import (
    DomainError,
    InvalidQueryError,
    ResourceRef,
    ValidationError,
    resource_already_exists,
    resource_not_found,
)
from bqemulator.storage import type_map
from bqemulator.storage.sql_identifiers import quoted_table_ref
from fastapi import Request

_SLOW = {"seconds": 0.0}
_CANCELLED: set[str] = set()
_RUNNING: set[asyncio.Task[None]] = set()
_WIDER = {"INTEGER": ("NUMERIC", "BIGNUMERIC", "FLOAT"), "NUMERIC": ("BIGNUMERIC", "FLOAT")}
_ALTER = re.compile(r"\s*ALTER TABLE `(.+?)\.(.+?)\.(.+?)` ALTER COLUMN `(.+?)` SET DATA TYPE (.+)", re.DOTALL)
_STANDARD = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN"}


class _PreconditionFailed(DomainError):
    http_status = 412
    bq_reason = "conditionNotMet"
    grpc_status_name = "FAILED_PRECONDITION"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _columns(fields: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return name and DuckDB type of a schema's columns; names inside of records are quoted."""
    found = []
    for field in fields:
        kind = field["type"].upper()
        if kind in ("RECORD", "STRUCT"):
            inner = ", ".join(f"{_quoted(name)} {type_}" for name, type_ in _columns(field.get("fields", [])))
            type_ = f"STRUCT({inner})"
        else:
            type_ = type_map.bq_to_duckdb(kind)
        found.append((field["name"], f"{type_}[]" if field.get("mode", "").upper() == "REPEATED" else type_))
    return found


def _rest(meta: TableMeta) -> list[dict[str, Any]]:
    return [tables._field_to_rest(each) for each in meta.schema_.fields]


# Loads: an id of the client's, a partition, a transaction.


def _configuration(envelope: dict[str, Any]) -> dict[str, Any]:
    configuration = _load_configuration(envelope)
    return {**configuration, "_reference": envelope.get("jobReference", {})}


def _multipart(content_type: str, body: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the job and the file of a multipart upload, as Google's client writes it: the file is `*/*`, as it is."""
    found = re.search(r"boundary=\"?([^\";]+)", content_type)
    if found is None:
        raise ValidationError("multipart upload without a boundary")
    mark = b"--" + found.group(1).encode()
    _, job, rest = body.split(mark, 2)
    file = rest[: rest.rindex(b"\r\n" + mark)]
    return json.loads(job.partition(b"\r\n\r\n")[2]), file.partition(b"\r\n\r\n")[2]


async def _run_load(
    *, project_id: str, configuration: dict[str, Any], media_path: str, ctx: Any
) -> tuple[str, JobMeta]:
    given = {name: value for name, value in configuration.items() if name != "_reference"}
    job_id = configuration["_reference"].get("jobId") or upload._new_job_id()
    if ctx.catalog.get_job(project_id, job_id) is not None:
        raise resource_already_exists(ResourceRef("job", project_id, resource_id=job_id))
    now = ctx.clock.now()
    running = JobMeta(
        project_id=project_id,
        job_id=job_id,
        job_type="LOAD",
        state="RUNNING",
        configuration=given,
        creation_time=now,
        start_time=now,
        etag=generate_etag(project_id, job_id, str(now)),
    )
    ctx.catalog.upsert_job(running)
    file = Path(tempfile.mkdtemp()) / "rows.parquet"
    os.link(media_path, file)
    task = asyncio.create_task(_finish(running, file, ctx))
    _RUNNING.add(task)
    task.add_done_callback(_RUNNING.discard)
    if not _SLOW["seconds"]:
        await task
    return job_id, ctx.catalog.get_job(project_id, job_id)


async def _finish(running: JobMeta, file: Path, ctx: Any) -> None:
    error: dict[str, Any] | None = None
    rows = 0
    try:
        until = time.monotonic() + _SLOW["seconds"]
        while time.monotonic() < until and running.job_id not in _CANCELLED:
            await asyncio.sleep(0.02)
        async with ctx.engine.write_lock():
            if running.job_id in _CANCELLED:
                error = {"reason": "stopped", "message": "Job execution was cancelled"}
            else:
                rows = _load(running.configuration["load"], str(file), ctx)
    except DomainError as problem:
        error = {"reason": problem.bq_reason, "message": problem.message, "location": problem.location or ""}
    except Exception as problem:
        error = {"reason": "invalid", "message": f"Error while reading data, error message: {problem}"}
    finally:
        shutil.rmtree(file.parent)
    told = {"load": {"outputRows": str(rows), "inputFiles": "1"}}
    changes = {"state": "DONE", "end_time": ctx.clock.now(), "statistics": told, "error_result": error}
    ctx.catalog.upsert_job(running.model_copy(update=changes))


def _load(load: dict[str, Any], file: str, ctx: Any) -> int:
    """Replace a partition, or add to it, in one transaction; nothing here waits, so nobody sees it half done."""
    said = load["destinationTable"]
    table, _, partition = said["tableId"].partition("$")
    meta = ctx.catalog.get_table(said["projectId"], said["datasetId"], table)
    if meta is None:
        raise resource_not_found(ResourceRef("table", said["projectId"], said["datasetId"], table))
    if load.get("sourceFormat") != "PARQUET":
        raise ValidationError("only PARQUET is loaded here")
    target = quoted_table_ref(said["projectId"], said["datasetId"], table)
    names = _checked_columns(meta, file, target, ctx)
    ctx.engine.execute("BEGIN TRANSACTION")
    try:
        if load.get("writeDisposition") == "WRITE_TRUNCATE":
            where = f" WHERE {_in_partition(meta, partition)}" if partition else ""
            ctx.engine.execute(f"DELETE FROM {target}{where}")
        if partition:
            _check_partition(meta, partition, file, ctx)
        listed = ", ".join(map(_quoted, names))
        ctx.engine.execute(f"INSERT INTO {target} ({listed}) SELECT {listed} FROM read_parquet(?)", [file])
        ctx.engine.execute("COMMIT")
    except BaseException:
        ctx.engine.execute("ROLLBACK")
        raise
    (rows,) = ctx.engine.execute("SELECT COUNT(*) FROM read_parquet(?)", [file]).fetchone()
    return int(rows)


def _checked_columns(meta: TableMeta, file: str, target: str, ctx: Any) -> list[str]:
    held = {row[0].lower(): row[1] for row in ctx.engine.execute(f"DESCRIBE {target}").fetchall()}
    given = {row[0]: row[1] for row in ctx.engine.execute("DESCRIBE FROM read_parquet(?)", [file]).fetchall()}
    for name, type_ in given.items():
        if held.get(name.lower(), "") != type_:
            raise ValidationError(
                f"Provided Schema does not match Table {meta.project_id}:{meta.dataset_id}.{meta.table_id}."
                f" Field {name} has changed type from {held.get(name.lower(), 'nothing')} to {type_}"
            )
    return list(given)


def _in_partition(meta: TableMeta, partition: str) -> str:
    if meta.time_partitioning is None or not meta.time_partitioning.field:
        raise ValidationError(f"{meta.table_id} is not partitioned by a column")
    hour = datetime.strptime(partition, "%Y%m%d%H")
    return f"date_trunc('hour', {_quoted(meta.time_partitioning.field)}) = TIMESTAMPTZ '{hour:%Y-%m-%d %H}:00:00+00'"


def _check_partition(meta: TableMeta, partition: str, file: str, ctx: Any) -> None:
    inside = _in_partition(meta, partition)
    query = f"SELECT COUNT(*) FROM read_parquet(?) WHERE ({inside}) IS NOT TRUE"
    (outside,) = ctx.engine.execute(query, [file]).fetchone()
    if outside:
        raise ValidationError(f"{outside} rows belong to different partitions than {partition}")


# Tables: a schema that grows, types that widen, filters that are required.


def _meta_of(project: str, dataset: str, body: dict[str, Any], clock: Any, existing: Any = None) -> TableMeta:
    if body.get("requirePartitionFilter") and body.get("timePartitioning"):
        body["timePartitioning"]["requirePartitionFilter"] = True
    return _rest_to_table_meta(project, dataset, body, clock, existing)


def _table(meta: TableMeta) -> dict[str, Any]:
    body = _table_to_rest(meta)
    if meta.time_partitioning is not None and meta.time_partitioning.require_partition_filter:
        body["requirePartitionFilter"] = True
    return body


async def _patch(project_id: str, dataset_id: str, table_id: str, request: Request, ctx: tables._Ctx) -> dict[str, Any]:
    """Change a table; columns may be added at the end of the table or of a record, and nothing else."""
    async with ctx.engine.write_lock():
        existing = ctx.catalog.get_table(project_id, dataset_id, table_id)
        if existing is None:
            raise resource_not_found(ResourceRef("table", project_id, dataset_id, table_id))
        if request.headers.get("if-match", existing.etag) != existing.etag:
            raise _PreconditionFailed("Precondition Failed")
        body = await request.json()
        body.setdefault("tableReference", {"tableId": table_id})
        fields = body.get("schema", {}).get("fields")
        if fields:
            target = quoted_table_ref(project_id, dataset_id, table_id)
            _grow(_rest(existing), fields, f"{project_id}:{dataset_id}.{table_id}")
            _alter(target, _rest(existing), fields, ctx)
        return tables._table_to_rest(
            ctx.catalog.update_table(tables._rest_to_table_meta(project_id, dataset_id, body, ctx.clock, existing))
        )


def _grow(held: list[dict[str, Any]], given: list[dict[str, Any]], where: str) -> None:
    for before, after in zip(held, given, strict=False):
        same = all(before.get(key, "NULLABLE") == after.get(key, "NULLABLE") for key in ("name", "type", "mode"))
        if not same:
            raise ValidationError(f"Provided Schema does not match Table {where}. Field {before['name']} has changed")
        _grow(before.get("fields", []), after.get("fields", []), where)
    if len(given) < len(held):
        raise ValidationError(
            f"Provided Schema does not match Table {where}. Field {held[len(given)]['name']} is missing"
        )


def _alter(target: str, held: list[dict[str, Any]], given: list[dict[str, Any]], ctx: Any) -> None:
    before = dict(_columns(held))
    for name, type_ in _columns(given):
        if name not in before:
            ctx.engine.execute(f"ALTER TABLE {target} ADD COLUMN {_quoted(name)} {type_}")
        elif before[name] != type_:
            ctx.engine.execute(f"ALTER TABLE {target} ALTER COLUMN {_quoted(name)} SET DATA TYPE {type_}")


async def _query(project_id: str, job_id: str, sql: str, parameters: Any, ctx: Any, **rest: Any) -> JobMeta:
    if ctx.catalog.get_job(project_id, job_id) is not None:
        raise resource_already_exists(ResourceRef("job", project_id, resource_id=job_id))
    if found := _ALTER.fullmatch(sql):
        await _widen(*found.groups(), ctx)
        sql = "SELECT 1 AS altered LIMIT 0"
    for meta in ctx.catalog.list_tables(project_id, _dataset_in(sql)) if _dataset_in(sql) else ():
        filter_ = meta.time_partitioning
        required = filter_ is not None and filter_.require_partition_filter and f"{meta.table_id}`" in sql
        if required and str(filter_.field) not in sql.partition("WHERE")[2]:
            raise InvalidQueryError(
                f"Cannot query over table '{meta.table_id}' without a filter over column(s) '{filter_.field}'"
                " that can be used for partition elimination"
            )
    return await _execute_query_job(project_id, job_id, sql, parameters, ctx, **rest)


def _dataset_in(sql: str) -> str:
    found = re.search(r"`[^`.]+\.([^`.]+)\.[^`]+`", sql)
    return found.group(1) if found else ""


async def _widen(project: str, dataset: str, table: str, column: str, type_: str, ctx: Any) -> None:
    async with ctx.engine.write_lock():
        meta = ctx.catalog.get_table(project, dataset, table)
        if meta is None:
            raise resource_not_found(ResourceRef("table", project, dataset, table))
        held = _rest(meta)
        given = [_field(column, type_) if each["name"] == column else each for each in held]
        (before,) = (each for each in held if each["name"] == column)
        (after,) = (each for each in given if each["name"] == column)
        _check_wider(before, after)
        _alter(quoted_table_ref(project, dataset, table), held, given, ctx)
        schema = TableSchema(fields=tables._parse_schema_fields(given))
        etag = generate_etag(project, dataset, table, str(ctx.clock.now()), type_)
        ctx.catalog.update_table(meta.model_copy(update={"schema_": schema, "etag": etag}))


def _field(name: str, type_: str) -> dict[str, Any]:
    said, mode = type_.strip(), "NULLABLE"
    if said.startswith("ARRAY<"):
        said, mode = said[len("ARRAY<") : -1], "REPEATED"
    if not said.startswith("STRUCT<"):
        return {"name": name, "type": _STANDARD.get(said, said), "mode": mode}
    parts, depth, start, inner = [], 0, 0, said[len("STRUCT<") : -1]
    for at, sign in enumerate(f"{inner},"):
        depth += (sign == "<") - (sign == ">")
        if sign == "," and depth == 0:
            parts.append(inner[start:at].strip())
            start = at + 1
    fields = [_field(each.split("`")[1], each.split("`")[2]) for each in parts]
    return {"name": name, "type": "RECORD", "mode": mode, "fields": fields}


def _check_wider(before: dict[str, Any], after: dict[str, Any]) -> None:
    if before["type"] != after["type"] and after["type"] not in _WIDER.get(before["type"], ()):
        raise InvalidQueryError(
            f"ALTER TABLE ALTER COLUMN SET DATA TYPE requires that the existing column type ({before['type']}) is"
            f" assignable to the new type ({after['type']})"
        )
    for inner, other in zip(before.get("fields", ()), after.get("fields", ()), strict=True):
        _check_wider(inner, other)


async def _cancel(project_id: str, job_id: str, ctx: jobs._Ctx) -> dict[str, Any]:
    meta = ctx.catalog.get_job(project_id, job_id)
    if meta is None:
        raise resource_not_found(ResourceRef("job", project_id, resource_id=job_id))
    _CANCELLED.add(job_id)
    return {"kind": "bigquery#jobCancelResponse", "job": jobs._build_job_response(project_id, job_id, meta, {})}


async def _slow(seconds: float) -> dict[str, Any]:
    _SLOW["seconds"] = seconds
    return {}


def _route(router: Any, path: str, method: str, answer: Any) -> None:
    router.routes[:] = [each for each in router.routes if each.path != path or method not in each.methods]
    router.add_api_route(path.removeprefix(router.prefix), answer, methods=[method])


_load_configuration = upload._load_configuration_from_envelope
_rest_to_table_meta, _table_to_rest = tables._rest_to_table_meta, tables._table_to_rest
_execute_query_job = jobs.execute_query_job


def _end_with_parent() -> None:
    """Let the kernel end this process when the thread that started it ends (prctl PR_SET_PDEATHSIG).

    It is asked for here: what runs between fork and exec of a process with threads may wait for ever.
    """
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


if __name__ == "__main__":
    _end_with_parent()
    type_map._BQ_TO_DUCKDB["BIGNUMERIC"] = "DECIMAL(38, 0)"
    type_map.bq_schema_to_duckdb_columns = tables.bq_schema_to_duckdb_columns = _columns
    upload._load_configuration_from_envelope, upload._run_load = _configuration, _run_load
    upload._parse_multipart_related = _multipart
    tables._rest_to_table_meta, tables._table_to_rest = _meta_of, _table
    jobs.execute_query_job = _query
    _route(tables.router, "/bigquery/v2/projects/{project_id}/datasets/{dataset_id}/tables/{table_id}", "PATCH", _patch)
    _route(jobs.router, "/bigquery/v2/projects/{project_id}/jobs/{job_id}/cancel", "POST", _cancel)
    _route(upload.router, "/upload/bigquery/v2/slow/{seconds}", "POST", _slow)
    main()
