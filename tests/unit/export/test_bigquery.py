"""BigQuery without a server: settings, columns, requests as Google's client gets them, and what its errors mean."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lake.base.http import Clock, FailedTry
from lake.base.sql import at_hand
from lake.export.destination import Partition
from lake.export.destinations.bigquery.columns import planned, table_fields
from lake.export.destinations.bigquery.jobs import Missing, Requests, Taken
from lake.export.errors import (
    BadDeclaration,
    DestinationDenied,
    DestinationUnavailable,
    ExportError,
    RowsRefused,
    SchemaConflict,
)
from lake.export.json_sql import columns_of
from tests.unit.export.lakes import HOUR, SmallLake, export

PLAIN = "began as time_dt, {'uid': 'm' || n} as metadata"


def fields(select: str) -> list[dict[str, Any]]:
    with at_hand() as con:
        return table_fields("t", columns_of(con.sql(f"select {select}")))


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("1 as v", "'x' as v", "v is INTEGER there and STRING here"),
        ("1 as v", "1.5::double as v", "v is INTEGER there and FLOAT here"),
        ("'x' as v", "['x'] as v", "v is STRING there and REPEATED STRING here"),
        ("{'a': 1} as v", "{'a': 'x'} as v", r"v\.a is INTEGER there and STRING here"),
        ("[{'a': 1}] as v", "[{'a': 1::ubigint}] as v", r"v\.a is in a list INTEGER there and in a list NUMERIC here"),
        ("1 as v", "'x' as \"V\"", "v is INTEGER there and STRING here"),
    ],
)
def test_a_type_that_cannot_be_widened_is_a_conflict_that_names_it(before: str, after: str, told: str) -> None:
    with pytest.raises(SchemaConflict, match=f"{told}.*Nothing was changed there"):
        planned("t", fields(before), fields(f"{after}, 'new' as added"))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("user-agent", "'user-agent'"),
        ("größe", "'größe'"),
        ("7days", "'7days'"),
        ("a.b", r"'a\.b'"),
        ("n" * 301, r"\(301 characters\)"),
        ("_TABLE_x", None),
        ("table_", None),
        ("n" * 300, None),
    ],
)
def test_names_that_bigquery_does_not_take_are_told(name: str, told: str | None) -> None:
    select = f'{{"{name}": 1}} as o' if name[0] == "_" else f'1 as "{name}"'
    if name[0] == "_":
        told = f"'o.{name}'"
    if told is None:
        assert name == fields(select)[-1]["name"]
        return
    with pytest.raises(SchemaConflict, match=f"BigQuery takes no column .*{told}"):
        fields(select)


def test_two_names_that_differ_only_in_case_are_told() -> None:
    held = [{"name": "User", "type": "STRING", "mode": "NULLABLE"}]
    with pytest.raises(SchemaConflict, match=r"'o\.User' and 'o\.user' are one column for BigQuery"):
        from lake.export.destinations.bigquery import columns

        columns._check_names("t", "o.", [*held, {"name": "user", "type": "STRING", "mode": "NULLABLE"}])
    change, after = planned("t", held, [{"name": "user", "type": "STRING", "mode": "NULLABLE"}])
    assert not change and held == after


def test_columns_without_a_type_there_are_told() -> None:
    with pytest.raises(SchemaConflict, match="v is INTERVAL, which has no type in BigQuery"):
        fields("interval 1 day as v")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"labels": {"Team": "x"}}, "labels: Team"),
        ({"dataset": "my-set"}, "dataset: 'my-set'"),
        ({"project": "A`B"}, "project: 'A`B'"),
        ({"cluster_by": ["a", "b", "c", "d", "e"]}, "four columns"),
        ({"endpoint": "http://192.0.2.1"}, "expected https"),
        ({"password": "x"}, "unknown field `password`"),
        ({"retry_seconds": "soon"}, "retry_seconds"),
    ],
)
def test_settings_that_cannot_be_are_told_by_name(lake: SmallLake, said: dict[str, Any], told: str) -> None:
    with pytest.raises(BadDeclaration, match=f"destinations.google.*{told}"):
        lake.destination("bigquery", "google", **{"project": "p", "dataset": "d", **said})


def test_without_credentials_the_error_says_how_to_have_some(
    lake: SmallLake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "absent.json"))
    lake.silver(rows=1)

    with pytest.raises(DestinationDenied, match="gcloud auth application-default login"):
        lake.push(lake.destination("bigquery", "google", project="p", dataset="d"), export())


def test_without_googles_package_the_error_names_the_extra(lake: SmallLake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.cloud.bigquery", None)
    monkeypatch.delattr("google.cloud.bigquery", raising=False)
    lake.silver(rows=1)

    with pytest.raises(ExportError, match="install headwater with the extra `bigquery`"):
        lake.push(lake.destination("bigquery", "google", project="p", dataset="d"), export())


def test_the_key_of_an_upload_is_in_no_message() -> None:
    problem = ConnectionError("Max retries exceeded with url: /upload/jobs?uploadType=resumable&upload_id=ADPy-7_x (x)")

    with pytest.raises(FailedTry) as told, Requests("there", "p", None, None, 1, 1, 1)._understood():
        raise problem

    assert "Max retries exceeded with url: /upload/jobs?uploadType=resumable&upload_id=… (x)" == told.value.reason


def google_error(status: int, reason: str, words: str) -> Exception:
    from google.api_core.exceptions import from_http_status

    return from_http_status(status, words, errors=[{"reason": reason, "message": words}])


@pytest.mark.parametrize(
    ("problem", "kind", "words"),
    [
        (
            google_error(401, "authError", "Invalid credentials."),
            DestinationDenied,
            "that have not expired",
        ),
        (google_error(403, "accessDenied", "Access Denied"), DestinationDenied, "accessDenied: .*BigQuery Data Editor"),
        (google_error(403, "billingNotEnabled", "No billing"), DestinationDenied, "billingNotEnabled"),
        (google_error(403, "rateLimitExceeded", "Exceeded rate limits"), FailedTry, "rateLimitExceeded"),
        (google_error(403, "quotaExceeded", "too many updates"), FailedTry, "quotaExceeded"),
        (google_error(429, "", "Too many requests"), FailedTry, "Too many requests"),
        (google_error(503, "backendError", "Error"), FailedTry, "backendError"),
        (google_error(500, "internalError", "Error"), FailedTry, "internalError"),
        (google_error(400, "invalid", "Too many partitions, allowed 10000"), RowsRefused, "allowed 10000.*as it was"),
        (google_error(404, "notFound", "Not found: Dataset demo:d"), Missing, "Not found: Dataset"),
        (google_error(409, "duplicate", "Already Exists"), Taken, "Already Exists"),
        (google_error(412, "conditionNotMet", "Precondition"), Taken, "Precondition"),
        (ConnectionError("refused"), FailedTry, "refused"),
        (TimeoutError("timed out"), FailedTry, "timed out"),
    ],
    ids=lambda given: str(given)[:40] if isinstance(given, Exception) else "",
)
def test_what_bigquery_says_is_passed_on_and_means_what_it_means(
    problem: Exception, kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words) as told, Requests("there", "p", None, None, 1, 1, 1)._understood():
        raise problem
    assert type(told.value) is kind and "\n" not in str(told.value)


def test_a_request_is_made_again_within_the_bound_and_then_given_up() -> None:
    waits: list[float] = []
    clock = Clock(now=lambda: sum(waits), sleep=waits.append)
    requests = Requests("there", "p", None, None, 20, 1, 1, clock)

    def refuse() -> None:
        raise google_error(503, "backendError", "busy")

    with pytest.raises(DestinationUnavailable, match="there does not answer, or is over a quota: backendError: busy"):
        requests.asked(refuse)
    assert 3 < len(waits) and 5 < sum(waits) <= 20


@dataclass
class GoogleClient:
    """Keeps what Google's client is asked for; a table is there once it is made."""

    calls: list[tuple[str, Any]] = field(default_factory=list)
    table: Any = None

    def __getattr__(self, name: str) -> Any:
        return lambda *given, **said: self._called(name, given, said)

    def _called(self, name: str, given: tuple[Any, ...], said: dict[str, Any]) -> Any:
        self.calls.append((name, (given, said)))
        if name == "get_dataset":
            return SimpleNamespace(location="EU")
        if name == "get_table" and self.table is None:
            raise google_error(404, "notFound", "Not found: Table")
        if name == "create_table":
            self.table = given[0]
        if name in ("get_table", "create_table"):
            return self.table
        rows = [{"held_rows": 4, "held_checksum": 7}]
        job = {"job_id": said.get("job_id"), "state": "DONE", "error_result": None, "result": lambda **_: rows}
        return [] if name == "list_jobs" else SimpleNamespace(**job)

    def named(self, name: str) -> list[tuple[Any, dict[str, Any]]]:
        return [said for called, said in self.calls if called == name]


def test_an_hour_is_one_load_job_into_its_partition_whose_id_says_rows_and_columns(lake: SmallLake) -> None:
    client = GoogleClient()
    there: Any = lake.destination("bigquery", project="p", dataset="d", labels={"team": "soc"})
    there._requests._client = client
    lake.silver(rows=4)
    reader, partition = lake.read(export()), Partition.of(HOUR)
    first = there.push("authentication", partition, reader)
    again = there.push("authentication", partition, reader)
    (((table,), _),) = client.named("create_table")
    assert ("HOUR", "_event_hour", True) == (
        table.time_partitioning.type_,
        table.time_partitioning.field,
        table.require_partition_filter,
    )
    assert ["source", "class_uid", "type_uid", "severity_id"] == table.clustering_fields
    (given, said), _ = client.named("load_table_from_file")
    config = said["job_config"]
    assert ("p.d.authentication$2026030204", "WRITE_TRUNCATE", "CREATE_NEVER", "PARQUET", "EU") == (
        given[1],
        config.write_disposition,
        config.create_disposition,
        config.source_format,
        said["location"],
    )
    assert "soc" == config.labels["team"] and "headwater_push" in config.labels
    assert said["job_id"] == first.remote["load"] == again.remote["load"]
    ((sql,), _), _ = client.named("query")
    assert "FROM `p.d.authentication` WHERE _event_hour = TIMESTAMP('2026-03-02 04:00:00+00:00')" in sql
    assert (4, 7) == (first.held.rows, first.held.checksum)
    lake.silver(rows=0)
    there.push("authentication", partition, lake.read(export()))
    assert any(given[0].startswith("DELETE FROM `p.d.authentication` WHERE") for given, _ in client.named("query"))
