"""A dataset of a test's own at the counterpart of BigQuery, asked with Google's own client.

Belongs here: the emulator for all tests, and looking at what a push left. Not here: what is pushed.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from lake.export.destination import Destination
from orchestration.demo.simulators.bigquery.bqemulator import ABSENT, PROJECT, BigQueryEmulator, installed
from tests.unit.export.lakes import HOUR, SmallLake


@dataclass
class BigQueryThere:
    """A dataset at the emulator, and how a destination reaches it."""

    server: BigQueryEmulator
    dataset: str = field(default_factory=lambda: f"t{uuid.uuid4().hex[:12]}")

    def options(self, url: str = "", **said: Any) -> dict[str, Any]:
        """Return the settings of a destination; `url` may be that of a proxy."""
        given = {"project": PROJECT, "dataset": self.dataset, "endpoint": url or self.server.url}
        return {**given, "retry_seconds": 3, "request_seconds": 20, **said}

    def open(self, lake: SmallLake, url: str = "", **said: Any) -> Destination:
        """Open a destination as the settings would."""
        return lake.destination("bigquery", "google", **self.options(url, **said))

    def name(self, table: str = "authentication") -> str:
        """Return a table's whole name."""
        return f"{PROJECT}.{self.dataset}.{table}"

    def ask(self, sql: str) -> list[dict[str, Any]]:
        """Return the rows of a query; `{}` stands for the name of the table `authentication`."""
        return [dict(row) for row in self.server.client().query(sql.replace("{}", f"`{self.name()}`")).result()]

    def rows(self, table: str = "authentication", hour: str = HOUR) -> list[dict[str, Any]]:
        """Return an hour's rows, by event id."""
        begin = f"TIMESTAMP('{hour.replace('T', ' ')}:00:00+00')"
        return self.ask(f"SELECT * FROM `{self.name(table)}` WHERE _event_hour = {begin} ORDER BY _event_id")

    def ids(self, table: str = "authentication", hour: str = HOUR) -> list[str]:
        """Return the event ids of an hour, with those that stand twice twice."""
        return [row["_event_id"] for row in self.rows(table, hour)]

    def table(self, table: str = "authentication") -> Any:
        """Return the table as Google's client tells it."""
        return self.server.client().get_table(self.name(table))

    def types(self, table: str = "authentication") -> dict[str, str]:
        """Return name → type of a table's columns, inner ones dotted; lists end in `[]`."""

        def told(fields: Any, path: str) -> Iterator[tuple[str, str]]:
            for each in fields:
                yield f"{path}{each.name}", each.field_type + ("[]" if each.mode == "REPEATED" else "")
                yield from told(each.fields, f"{path}{each.name}.")

        return dict(told(self.table(table).schema, ""))

    def loads(self) -> list[Any]:
        """Return the load jobs of the dataset, oldest first."""
        found = [each for each in self.server.client().list_jobs(max_results=1000) if each.job_type == "load"]
        return [each for each in reversed(found) if each.destination.dataset_id == self.dataset]


@pytest.fixture(scope="session")
def bigquery_emulator() -> Iterator[BigQueryEmulator]:
    if not installed():
        pytest.skip(ABSENT)
    with BigQueryEmulator() as server:
        yield server


@pytest.fixture
def bigquery_there(bigquery_emulator: BigQueryEmulator) -> BigQueryThere:
    return BigQueryThere(bigquery_emulator)
