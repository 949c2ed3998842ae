"""A database of a test's own at the counterpart of Snowflake, asked with Snowflake's own client.

Belongs here: the server for all tests, and looking at what a push left. Not here: what is pushed.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import snowflake.connector

from lake.export.destination import Destination
from orchestration.demo.simulators.snowflake.fakesnow import MISSING, Fakesnow
from tests.unit.export.lakes import SmallLake

PASSWORD_ENV, PASSWORD = "HEADWATER_TEST_SNOWFLAKE_PASSWORD", "not-in-any-message"


@dataclass
class SnowflakeThere:
    """A database at the server, and how a destination reaches it."""

    server: Fakesnow
    database: str = field(default_factory=lambda: f"T{uuid.uuid4().hex[:12].upper()}")

    def options(self, port: int = 0, **said: Any) -> dict[str, Any]:
        """Return the settings of a destination; `port` may be that of a proxy."""
        return {
            "account": "acme-prod",
            "user": "headwater",
            "database": self.database,
            "schema": "CURATED",
            "host": "127.0.0.1",
            "port": port or self.server.port,
            "protocol": "http",
            "password_env": PASSWORD_ENV,
            "attempts": 2,
            **said,
        }

    def open(self, lake: SmallLake, port: int = 0, **said: Any) -> Destination:
        """Open a destination as the settings would."""
        options = {key: value for key, value in self.options(port, **said).items() if value is not None}
        return lake.destination("snowflake", "warehouse", **options)

    def ask(self, *statements: str) -> list[tuple[Any, ...]]:
        """Send statements in a session of their own, and return the rows of the last."""
        given = {key: self.options()[key] for key in ("account", "user", "database", "schema", "host", "port")}
        with snowflake.connector.connect(
            **given, protocol="http", password="any", enable_server_session_keep_alive_auto_detection=False
        ) as connection:
            rows: list[tuple[Any, ...]] = []
            for statement in statements:
                with connection.cursor() as cursor:
                    rows = list(cursor.execute(statement).fetchall())
            return rows

    def ids(self, table: str = "AUTHENTICATION", hour: int = 4) -> list[str]:
        """Return the event ids of an hour, with those that stand twice twice."""
        return [row[0] for row in self.ask(f'select _EVENT_ID from {table} where "HOUR" = {hour} order by 1')]

    def types(self, table: str = "AUTHENTICATION") -> dict[str, str]:
        """Return name → type of a table's columns."""
        return {row[0]: row[1] for row in self.ask(f"describe table {table}")}


@pytest.fixture(scope="session")
def fakesnow() -> Iterator[Fakesnow]:
    if MISSING:
        pytest.skip(MISSING)
    with Fakesnow() as server:
        yield server


@pytest.fixture
def snowflake_there(fakesnow: Fakesnow, monkeypatch: pytest.MonkeyPatch) -> SnowflakeThere:
    monkeypatch.setenv(PASSWORD_ENV, PASSWORD)
    # Else its client asks the metadata services of three clouds where it runs.
    monkeypatch.setenv("SNOWFLAKE_DISABLE_PLATFORM_DETECTION", "true")
    return SnowflakeThere(fakesnow)
