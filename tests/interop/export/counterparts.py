"""BigQuery and Snowflake at their counterparts, as the contract suite drives them, asked with the vendors' clients."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lake.export.destination import Destination
from tests.integration.export.contract import Adapter
from tests.interop.export.bigquery_there import BigQueryThere
from tests.interop.export.snowflake_there import PASSWORD, PASSWORD_ENV, SnowflakeThere
from tests.simulators.faulty_http import Fault
from tests.unit.export.lakes import EVENT, HOUR, OKTA


class BigQuery(Adapter):
    kind = "bigquery"
    write, quick = ("POST", "^/upload/"), {"retry_seconds": 0.4, "request_seconds": 2}

    def start(self, request: pytest.FixtureRequest) -> str:
        self.dataset = BigQueryThere(request.getfixturevalue("bigquery_emulator"))
        return self.dataset.server.url

    def options(self, url: str = "", **said: Any) -> dict[str, Any]:
        # The address is of the identity: the proxy's, where there is one.
        return self.dataset.options(url, **said)

    def elsewhere(self) -> dict[str, Any]:
        return {"dataset": "elsewhere"}

    def ids(self, hour: str = HOUR, table: str = "authentication") -> list[str]:
        names = [each.table_id for each in self._tables()]
        return self.dataset.ids(table, hour) if table in names else []

    def _tables(self) -> list[Any]:
        from google.api_core.exceptions import NotFound

        try:
            return list(self.dataset.server.client().list_tables(self.dataset.dataset))
        except NotFound:
            return []

    def types(self) -> dict[str, str]:
        return self.dataset.types()

    def values(self) -> dict[str, Any]:
        return {row["_event_id"]: row for row in self.dataset.rows()}

    def expected(self, row: dict[str, Any]) -> Any:
        hour = datetime.fromisoformat(f"{HOUR}:00:00+00:00")
        return {"_event_hour": hour, **{name: self._there(name, row[name]) for name in row}}

    def _there(self, name: str, value: Any) -> Any:
        """Lists are not NULL and hold none, maps are lists, times have a zone."""
        if name in ("labels", "observables", "tags") and value is None:
            return []
        if name == "tags":
            return [{"key": key, "value": held} for key, held in value]
        if isinstance(value, list):
            return [self._there("", each) for each in value if each is not None]
        if isinstance(value, dict):
            return {inner: self._there("", held) for inner, held in value.items()}
        return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value

    def remove_one(self) -> None:
        self.dataset.ask(f"DELETE FROM {{}} WHERE _event_hour IS NOT NULL AND _event_id = '{OKTA}:m2'")

    def deny(self) -> str:
        error = {"code": 401, "message": "Invalid credentials.", "errors": [{"reason": "authError"}]}
        self.proxy.inject(Fault("error", status=401, body=json.dumps({"error": error}), times=None))
        return "credentials"

    def nobody(self) -> Destination:
        return self.open("http://127.0.0.1:1", retry_seconds=1)


class Snowflake(Adapter):
    kind, refuses, secret = "snowflake", True, PASSWORD
    write, quick = ("POST", "query-request"), {"attempts": 1, "timeout_seconds": 2}

    def start(self, request: pytest.FixtureRequest) -> str:
        self.patch.setenv(PASSWORD_ENV, PASSWORD)
        self.patch.setenv("SNOWFLAKE_DISABLE_PLATFORM_DETECTION", "true")
        self.database = SnowflakeThere(request.getfixturevalue("fakesnow"))
        return self.database.server.url

    def options(self, url: str = "", **said: Any) -> dict[str, Any]:
        return self.database.options(int(url.rpartition(":")[2]) if url else 0, **said)

    def elsewhere(self) -> dict[str, Any]:
        return {"schema": "ELSEWHERE"}

    def ids(self, hour: str = HOUR, table: str = "authentication") -> list[str]:
        names = [row[1] for row in self.database.ask("show tables")]
        return self.database.ids(table.upper(), int(hour[-2:])) if table.upper() in names else []

    def types(self) -> dict[str, str]:
        return self.database.types()

    def values(self) -> dict[str, Any]:
        names = [name for name in self.types() if name not in ("DATE", "HOUR", "TIME_DT")]
        quoted = ", ".join(f'"{name}"' for name in names)
        rows = self.database.ask(f"select {quoted} from AUTHENTICATION")
        found = {}
        # Instants apart: the counterpart's answers hold no NULL ones, and that of the year 2262 is a microsecond off.
        instants = dict(self.database.ask("select _EVENT_ID, TIME_DT from AUTHENTICATION where TIME_DT is not null"))
        for row in rows:
            told = {name: self._stands(value) for name, value in zip(names, row, strict=True)}
            at = instants.get(told["_EVENT_ID"])
            found[told["_EVENT_ID"]] = told | {"TIME_DT": at and _whole_milliseconds(at)}
        return found

    def expected(self, row: dict[str, Any]) -> Any:
        told = {name.upper(): self._variant(name, value) for name, value in row.items()}
        return told | {"TIME_DT": row["time_dt"] and _whole_milliseconds(row["time_dt"])}

    @staticmethod
    def _stands(value: Any) -> Any:
        if isinstance(value, bytearray):
            return bytes(value)
        return json.loads(value) if isinstance(value, str) and value[:1] in ("{", "[", '"') else value

    def _variant(self, name: str, value: Any) -> Any:
        if name == "tags" and value is not None:
            return dict(value)
        return self._stands(_in_variant(value) if isinstance(value, list | dict) else value)

    def remove_one(self) -> None:
        self.database.ask(f"delete from AUTHENTICATION where _EVENT_ID = '{OKTA}:m2'")

    def refusal(self) -> tuple[str, str, str]:
        large = EVENT.replace("'signed in as u' || n % 5", "repeat('x', case n when 3 then 16777217 else 1 end)")
        return large, "value_too_large", "MESSAGE has 16,777,217 bytes; VARCHAR takes 16,777,216"

    def deny(self) -> str:
        body = {"data": {"errorCode": "390100"}, "code": "390100", "message": "Incorrect password.", "success": False}
        self.proxy.inject(Fault("error", where="login", status=200, body=json.dumps(body), times=None))
        return "390100"

    def end_sessions(self) -> None:
        self.database.server.end_sessions()


def _whole_milliseconds(at: datetime) -> datetime:
    rounded = at + timedelta(microseconds=500)
    return rounded.replace(microsecond=rounded.microsecond // 1000 * 1000)


def _in_variant(value: Any, listed: bool = False) -> Any:
    """NULL fields are left out of objects, and stay in the objects of a list: see `lake.export.json_sql`."""
    if isinstance(value, dict):
        return {name: _in_variant(held, listed) for name, held in value.items() if listed or held is not None}
    if isinstance(value, list):
        return [_in_variant(each, listed=True) for each in value]
    return value.isoformat(timespec="microseconds") + "Z" if isinstance(value, datetime) else value


ADAPTERS: list[type[Adapter]] = [BigQuery, Snowflake]
