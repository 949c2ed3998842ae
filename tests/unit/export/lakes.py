"""Small lakes to export from: curated tables as builds leave them, files in their folders and their receipts.

Belongs here: building hours of tables, and the rows that every destination must carry. Not here: any one destination.
"""

import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from lake.base.sql import at_hand, literal
from lake.export.declaration import Export, exports_of
from lake.export.destination import Destination, Held, Place, configured
from lake.export.push import Limits, push_hour
from lake.export.rows import Reader, read_rows
from lake.export.status import ExportStatus, export_status, hour_of
from lake.ledger import build_receipts
from lake.ledger.build_receipts import BuildReceipt
from lake.ledger.export_receipts import ExportReceipt
from lake.ledger.published_tables import Slot, newest_builds
from lake.storage import paths
from lake.storage.publish import Change, Workplace, publish
from lake.storage.store import Store

HOUR = "2026-03-02T04"
OKTA, CLOUDTRAIL = "okta_system_log", "aws_cloudtrail"

# One OCSF event of the class authentication, of a number `n` and the first instant `began` of its hour.
EVENT = """
    epoch_ms(began + to_seconds(n)) as time, began + to_seconds(n) as time_dt,
    (n % 2 + 1)::integer as activity_id, case n % 2 when 0 then 'Logon' else 'Logoff' end as activity_name,
    3 as category_uid, 3002 as class_uid, 'Authentication' as class_name, (300201 + n % 2)::bigint as type_uid,
    (n % 6)::integer as severity_id, case when n % 3 < 2 then (n % 3 + 1)::integer end as status_id,
    case n % 4 when 0 then true when 1 then false end as is_alert, 'signed in as u' || n % 5 as message,
    {'uid': 'm' || n, 'version': '1.8.0', 'product': {'name': 'Okta', 'vendor_name': 'Okta'},
     'labels': ['a', null, 'l' || n]} as metadata,
    {'provider': 'AWS', 'region': 'eu-central-1', 'account': {'uid': (111111111110 + n % 3)::varchar}} as cloud,
    {'user': {'name': 'u' || n % 5, 'uid': 'id' || n % 5, 'email_addr': 'u' || n % 5 || '@example.com'}} as actor,
    {'name': 'u' || n % 5, 'uid': 'id' || n % 5, 'groups': [{'name': 'g', 'uid': '7'}]} as user,
    {'ip': '192.0.2.' || n % 3, 'port': (n % 7)::integer, 'location': {'country': 'DE', 'lat': 52.5}} as src_endpoint,
    {'ip': '198.51.100.' || n % 2, 'port': 443} as dst_endpoint,
    case when n % 4 > 0 then {'bytes': n::bigint * 10, 'packets': n::bigint} end as traffic,
    ('{"n":' || n || ',"list":[1,null,"x"]}')::json as unmapped,
    'b1' as _batch, 'objects/' || n % 2 || '.json' as _source_object, n::bigint as _source_row
"""

# A gold row: no source, no metadata; its key is (day, user_name).
GOLD = """
    began as time_dt, began::date as day, 'u' || n as user_name, n::bigint as logons, (n / 3)::double as share,
    n::decimal(18, 3) as cost
"""
GOLD_KEY = ("day", "user_name")

# One column of every kind of value that a curated table may hold. Rows: 0 full, 1 NULL, 2 empty, 3 smallest, 4 largest,
# 5 Unicode.
KINDS = """
    epoch_ms(began) as time,
    [began + to_microseconds(123456), null, began, timestamp '1970-01-01 00:00:00.000001',
     timestamp '2262-04-11 23:47:16.854775', began + to_microseconds(999999)][n + 1] as time_dt,
    [true, null, false, false, true, true][n + 1]::boolean as is_alert,
    [7, null, 0, -2147483648, 2147483647, 5][n + 1]::integer as severity_id,
    [7, null, 0, -9223372036854775808, 9223372036854775807, 9007199254740993][n + 1]::bigint as long_id,
    [0.1, null, 0.0, -1.7976931348623157e308, 1.7976931348623157e308, 5e-324][n + 1]::double as score,
    ['text', null, '', ' ', 'line' || chr(10) || 'tab' || chr(9) || 'quote" \\ '' ,;' || chr(13),
     '😀 שלום مرحبا ‮ 日本語 é e' || chr(769) || chr(1) || chr(127)][n + 1] as message,
    [date '2026-03-02', null, date '1970-01-01', date '1900-01-01', date '9999-12-31', date '2024-02-29'][n + 1] as day,
    ['\\x00\\xFF'::blob, null, ''::blob, '\\x00'::blob, '\\xFF'::blob, 'a'::blob][n + 1] as raw_data,
    case n when 0 then '{"a":[1,null,{"b":""}],"c":null}' when 2 then '{}' when 3 then '[]' when 4 then '"text"'
     when 5 then '{"ключ":"😀"}' end::json as unmapped,
    case n when 1 then null when 2 then {'name': null, 'uid': null, 'group': null, 'created_time_dt': null}
     else {'name': 'u' || n, 'uid': '', 'group': {'name': 'g😀', 'count': 9223372036854775807::bigint},
           'created_time_dt': began + to_microseconds(1)} end as user,
    case n when 1 then null when 2 then [] when 3 then [null] else ['a', null, ''] end::varchar[] as "labels",
    case n when 1 then null when 2 then [] when 3 then [null, {'name': null, 'first_seen_dt': null}]
     else [{'name': 'x', 'first_seen_dt': began + to_microseconds(7)}]
     end::struct(name varchar, first_seen_dt timestamp)[] as observables,
    case n when 1 then null when 2 then map {} else map {'k': 'v', 'K': ''} end::map(varchar, varchar) as tags,
    n::integer as "order", n::integer as "Select", 'g' || n as "group", n::integer as "camelCase",
    {'uid': 'k' || n, 'desc': 'd' || n} as metadata,
    'b1' as _batch, 'o' as _source_object, n::bigint as _source_row
"""
KINDS_ROWS = 6


@dataclass
class SmallLake:
    """A store with curated tables; every build is another one than the last, also of the same rows."""

    store: Store
    scratch: Path
    _builds: Any = field(default_factory=lambda: count(1))

    def silver(
        self,
        hour: str = HOUR,
        rows: int | Sequence[int] = 10,
        columns: str = EVENT,
        table: str = "authentication",
        source: str = OKTA,
    ) -> BuildReceipt:
        """Build one source's hour of a class: rows are numbers (or that many from 0); none makes the hour empty."""
        return self._build(f"silver/{table}/source={source}", f"{table}__{source}", source, table, hour, rows, columns)

    def gold(
        self, hour: str = HOUR, rows: int | Sequence[int] = 4, columns: str = GOLD, table: str = "logons_daily"
    ) -> BuildReceipt:
        """Build one hour of a table without sources."""
        return self._build(f"gold/{table}", table, "", table, hour, rows, columns)

    def dispositions(self, hour: str = HOUR, source: str = OKTA) -> None:
        """Build what became of a source's rows of an hour, as every build of the source does."""
        model, folder = f"{paths.OUTCOMES}__{source}", f"ledger/{paths.OUTCOMES}/source={source}"
        self._build(folder, model, source, paths.OUTCOMES, hour, 1, "n as rows")

    def _build(
        self, folder: str, model: str, source: str, table: str, hour: str, rows: int | Sequence[int], columns: str
    ) -> BuildReceipt:
        key = f"{folder}/date={hour[:10]}/hour={hour[11:]}/part.parquet"
        numbers = range(rows) if isinstance(rows, int) else rows
        with Workplace(self.store, "test") as work:
            path = work.path / "part.parquet"
            if len(numbers):
                write_rows(path, hour, numbers, columns)
            receipt = BuildReceipt(
                model=model,
                source=source,
                table=table,
                hour=hour,
                rows=len(numbers),
                bytes=path.stat().st_size if len(numbers) else 0,
                inputs=((f"bronze/{source}/{hour}.parquet", f"{uuid.uuid4().hex}"),),
                mapping="m1",
                built_at=(datetime(2026, 3, 2, 12, tzinfo=UTC) + timedelta(seconds=next(self._builds))).isoformat(),
                file=key if len(numbers) else "",
            )
            self._publish(
                model, receipt, ((work.key_of(path), key),) if len(numbers) else (), () if len(numbers) else (key,)
            )
        return receipt

    def expire(self, built: BuildReceipt) -> None:
        """Let an hour go with its age, as `headwater retain --apply` does."""
        gone = msgspec.structs.replace(built, expired_at="2026-06-01T00:00:00+00:00", file="")
        self._publish(built.model, gone, (), (built.file,) if built.file else ())

    def _publish(
        self, model: str, receipt: BuildReceipt, moves: tuple[tuple[str, str], ...], deletes: tuple[str, ...]
    ) -> None:
        publish(
            self.store,
            lambda: Change(
                moves=moves, deletes=deletes, receipts=tuple(build_receipts.merged_days(self.store, model, [receipt]))
            ),
        )

    def destination(self, kind: str = "files", name: str = "there", **options: Any) -> Destination:
        """Open a destination as the settings would; files go to a folder beside the lake if nothing is said."""
        if kind == "files":
            options = {"root": str(self.scratch / "there"), **options}
        place = Place(self.store, self.scratch / f"work-{os.getpid()}")
        return configured(name, {"type": kind, **options}).open(place)

    def builds(self, export: Export, hour: str = HOUR) -> Mapping[Slot, BuildReceipt]:
        """Return the builds that an export's hour is made of now."""
        return hour_of(self.store, export, hour).builds

    def read(self, export: Export, hour: str = HOUR, memory_bytes: int = 1 << 30, threads: int = 2) -> Reader:
        """Return the rows that a push of an hour would get."""
        folder = self.scratch / f"rows-{uuid.uuid4().hex[:8]}"
        return read_rows(self.store, export, self.builds(export, hour), folder, memory_bytes, threads)

    def push(
        self,
        destination: Destination,
        export: Export,
        hour: str = HOUR,
        limits: Limits | None = None,
        again: bool = False,
    ) -> ExportReceipt:
        """Push one hour the whole way, and return its receipt."""
        receipt = push_hour(self.store, destination, export, hour, limits, again)
        assert receipt is not None, f"{export} {hour}: there was nothing to push"
        return receipt

    def status(self, destination: Destination, export: Export) -> ExportStatus:
        """Return the status of an export."""
        return export_status(self.store, newest_builds(self.store), export, destination.identity)

    def behind(self, destination: Destination, export: Export) -> list[tuple[str, str]]:
        """Return (hour, why) of what is behind."""
        return [(each.hour, each.why) for each in self.status(destination, export).behind]


def export(model: str = "authentication", layer: str = "silver", destination: str = "there", **said: Any) -> Export:
    """Return one export, declared as in a model's meta: `said` are the words beside `destinations`."""
    (found,) = exports_of(model, layer, {"destinations": [destination], **said})
    return found


def gold_export(**said: Any) -> Export:
    """Return the export of the gold table, with its key."""
    return export("logons_daily", "gold", **{"key": list(GOLD_KEY), **said})


def elsewhere(given: Export, **changes: Any) -> Export:
    """Return the same export with another table name, destination or declaration."""
    return replace(given, **changes)


def write_rows(path: Path, hour: str, numbers: Sequence[int], columns: str) -> None:
    """Write the rows of some numbers, in their order. Few rows are made once, for they are the same in many tests."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if len(numbers) <= 100:
        path.write_bytes(_few_rows(hour, tuple(numbers), columns))
    else:
        _write_rows(path, hour, numbers, columns)


@cache
def _few_rows(hour: str, numbers: tuple[int, ...], columns: str) -> bytes:
    with TemporaryDirectory() as folder:
        _write_rows(file := Path(folder) / "part.parquet", hour, numbers, columns)
        return file.read_bytes()


def _write_rows(path: Path, hour: str, numbers: Sequence[int], columns: str) -> None:
    began = f"timestamp {literal(hour.replace('T', ' ') + ':00:00')}"
    if isinstance(numbers, range) and numbers.step == 1:
        given = f"(select range as n from range({numbers.start}, {numbers.stop}))"
    else:
        given = f"(select unnest([{', '.join(map(str, numbers))}]::bigint[]) as n)"
    with at_hand() as con:
        con.execute(f"copy (select {columns} from (select n, {began} as began from {given})) to {literal(str(path))}")


def rows_of(reader: Reader, columns: str = "*") -> list[dict[str, Any]]:
    """Return rows as Python values, in their order."""
    with at_hand() as con:
        exported = f"read_parquet({literal(str(reader.path))})"
        rows: list[dict[str, Any]] = con.execute(f"select {columns} from {exported}").to_arrow_table().to_pylist()
        return rows


def event_ids(reader: Reader) -> list[str]:
    """Return the event ids in their order."""
    return [row["_event_id"] for row in rows_of(reader, "_event_id")]


def held_of(receipt: ExportReceipt) -> Held:
    """Return what a receipt says that the destination holds."""
    return Held(rows=receipt.held_rows, checksum=receipt.held_checksum)
