"""The gold models over hand-made events, without dbt: their SQL is rendered by Jinja and run by DuckDB, in a second.

What belongs here: making silver events of a few words, and running models over them, all hours at once or hour by hour
as the lake does. What does not: expectations. That dbt compiles the same SQL is proven where the estate is built.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import jinja2

from ingest.reference.tables import columns_of
from lake import ledger
from lake.marts.declaration import Mart
from lake.marts.staleness import window
from lake.ocsf.attributes import declared_classes
from lake.ocsf.columns import columns
from orchestration.dbt.project import load_project
from orchestration.settings import PROJECT

Row = dict[str, Any]
MACROS = ("mapping", "enrichments", "signals", "sentences")
SILVER = (
    "authentication",
    "api_activity",
    "authorize_session",
    "process_activity",
    "registry_value_activity",
    "windows_service_activity",
)
EARLY_VIEWS = ("outside_sign_ins", "host_logons", "known_indicators")
MARTS = (
    "user_sign_ins",
    "seen_user_country",
    "seen_user_asn",
    "seen_user_asset",
    "seen_user_asset_tag",
    "seen_process_host",
    "user_source_activity",
    "host_traces",
    "lateral_movement_candidates",
    "lateral_movement",
    "signal_funnel",
)
BESIDE = ("seen_process_host", "user_source_activity", "signal_funnel")  # no signal is made of them
START = datetime(2026, 3, 2)


def macros() -> str:
    """Return the text of the macros that gold models use."""
    return "".join((PROJECT / f"macros/{name}.sql").read_text() for name in MACROS)


@cache
def sql_of(model: str) -> str:
    """Return the SQL of a gold model; what it reads stands there by its plain name, an ephemeral model as a CTE."""
    *parts, (_, sql) = _parts(model).items()
    steps = ", ".join(f"{name} as ({part})" for name, part in parts)
    return f"with {steps} from ({sql})" if steps else sql


def _parts(model: str) -> dict[str, str]:
    """Return the SQL of a model after that of the ephemeral models that it is made of."""
    environment = jinja2.Environment(extensions=["jinja2.ext.do"])
    read: list[str] = []

    def ref(name: str) -> str:
        read.append(name)
        return name

    given = {"ref": ref, "config": lambda **_: ""}
    sql = environment.from_string(macros() + _text(model)).render(**given).strip()
    ephemeral = [name for name in read if 'materialized="ephemeral"' in _text(name)]
    return {name: part for each in ephemeral for name, part in _parts(each).items()} | {model: sql}


@cache
def _text(model: str) -> str:
    return next((path.read_text() for path in PROJECT.glob(f"models/gold/**/{model}.sql")), "")


class Gold:
    """Events in memory and the marts made of them."""

    def __init__(self, place: Path) -> None:
        self.con = duckdb.connect()
        self.con.execute("set timezone = 'UTC'; set threads = 1")
        self._place = place
        self._classes = declared_classes(PROJECT)
        self.con.execute("create schema reference")
        indicators = ", ".join(f'"{name}" {type_}' for name, type_ in columns_of("indicators").items())
        self.con.execute(f"create table reference.indicators ({indicators})")
        for seed in ("signal_factors", "signal_severities", "sensitive_tags", "country_codes"):
            file = f"{PROJECT}/seeds/{seed}.csv"
            self.con.execute(f"create table {seed} as select * from read_csv('{file}', header = true)")

    def events(self, **tables: Iterable[Row]) -> None:
        """Give the events of silver tables; those that are not named have none."""
        for table in SILVER:
            self._table(table, dict(columns(self._classes[table])), tables.get(table, ()))

    def indicator(self, address: str, learned_at: datetime, **payload: Any) -> None:
        """Put an IPv4 address on a threat list, or a network by its first address and its `prefix` (bits of 128)."""
        parts = [int(part) for part in address.split(".")]
        low = (0xFFFF << 32) + sum(part << shift for part, shift in zip(parts, (24, 16, 8, 0), strict=True))
        row = {"feed": "threatdesk", "kind": "ip", "value": address, "prefix": 128, "key_high": 0, "key_low": low}
        row |= {"valid_from": learned_at, "valid_to": datetime(9999, 12, 31), "learned_at": learned_at}
        row |= {"name": "Remote access fraud", "category": "c2", "confidence": 90, **payload}
        names = ", ".join(row)
        self.con.execute(
            f"insert into reference.indicators ({names}) values ({', '.join('?' * len(row))})", list(row.values())
        )

    def build(self, every: bool = False) -> None:
        """Make the marts that signals are made of, of all hours at once; or every mart."""
        for name in (*EARLY_VIEWS, *(each for each in MARTS if every or each not in BESIDE)):
            kind = "view" if name in EARLY_VIEWS else "table"
            self.con.execute(f"create or replace {kind} {name} as {_made(name)}")

    def build_hourly(self, hours: Iterable[datetime]) -> None:
        """Make every mart hour by hour in the given order, each from the windows that its properties declare.

        After `build(every=True)`, whose columns it takes over.
        """
        marts, order = load_project().marts.by_name, list(hours)
        for name in (*SILVER, *MARTS):
            empty = " with no data" if name in MARTS else ""
            self.con.execute(f"create or replace table all_{name} as from {name}{empty}; drop table {name}")
        for name in MARTS:
            for hour in order:
                self._show(marts[name], hour)
                rows = f"select * from ({_made(name)}) where date_trunc('hour', _event_at) = ?"
                self.con.execute(f"insert into all_{name} by name {rows}", [hour])
        for name in MARTS:
            self.con.execute(f"create or replace view {name} as from all_{name}")

    def rows(self, sql: str) -> list[Row]:
        """Return the rows of a question."""
        cursor = self.con.execute(sql)
        names = [each[0] for each in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def digest(self, name: str) -> str:
        """Return a hash of the rows of a mart, whatever their order."""
        found = self.con.execute(
            "select count(*) || ' ' || md5(coalesce(string_agg(line, '' order by line), ''))"
            f" from (select md5(held::varchar) as line from {name} as held)"
        ).fetchone()
        return str(found and found[0])

    def _show(self, mart: Mart, hour: datetime) -> None:
        """Let a mart see what a run of this hour would: of each table the hours of its windows, put together."""
        spans: dict[str, list[str]] = {}
        for read in mart.reads:
            for model in read.models:
                spans.setdefault(model.split("__")[0], []).extend(window(read, ledger.hour_text(hour)))
        for table, hours in spans.items():
            time = "_event_at" if table in MARTS else "time_dt"
            span = f"'{min(hours)}:00:00' and {time} < '{max(hours)}:00:00'::timestamp + interval 1 hour"
            self.con.execute(f"create or replace view {table} as from all_{table} where {time} >= {span}")

    def _table(self, table: str, types: Mapping[str, str], rows: Iterable[Row]) -> None:
        file = self._place / f"{table}.ndjson"
        file.write_text("".join(json.dumps(row, default=str) + "\n" for row in rows))
        if not file.stat().st_size:
            named = ", ".join(f'"{name}" {type_}' for name, type_ in types.items())
            self.con.execute(f"create or replace table {table} ({named})")
            return
        told = ", ".join(f"'{name}': '{type_.replace(chr(39), chr(39) * 2)}'" for name, type_ in types.items())
        read = f"read_json('{file}', format = 'newline_delimited', columns = {{{told}}})"
        self.con.execute(f"create or replace table {table} as from {read}")


def _made(name: str) -> str:
    """Return the SQL of a mart. A finding gets its time here, which the materialization would complete."""
    return f"select *, _event_at as time_dt from ({sql_of(name)})" if name == "lateral_movement" else sql_of(name)


def at(hours: float = 0, minutes: float = 0) -> datetime:
    """An instant after the start of the hand-made day."""
    return START + timedelta(hours=hours, minutes=minutes)
