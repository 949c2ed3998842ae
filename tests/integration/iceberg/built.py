"""A lake with tables as builds leave them, made in milliseconds: files in their folders, and their receipts.

Belongs here: building, rebuilding and looking. Not here: Iceberg.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from lake.base.sql import literal
from lake.ledger import build_receipts
from lake.ledger.build_receipts import BuildReceipt
from lake.storage.publish import Change, Workplace, publish
from lake.storage.store import Store

COLUMNS = (
    "uid::bigint as time, make_timestamp(uid * 1000) as time_dt, ('u' || uid)::varchar as message,"
    " {'uid': 'm' || uid, 'labels': ['a', null, 'b' || uid]} as metadata, '{\"n\":1}'::json as unmapped"
)


@dataclass
class Lake:
    """A store, and what was built in it last: (table, source, hour) → rows."""

    store: Store
    scratch: Path
    rows: dict[tuple[str, str, str], list[int]] = field(default_factory=dict)
    _builds: Any = field(default_factory=lambda: count(1))

    def build(
        self,
        hour: str,
        uids: Sequence[int],
        table: str = "silver/authentication",
        source: str = "okta_system_log",
        columns: str = COLUMNS,
    ) -> BuildReceipt:
        """Build one hour of a table: rows are numbers, from which the columns follow; none makes the hour empty."""
        _, name = table.split("/")
        model = f"{name}__{source}" if source else name
        place = f"{table}/source={source}" if source else table
        key = f"{place}/date={hour[:10]}/hour={hour[11:]}/part.parquet"
        with Workplace(self.store, "test") as work:
            path = work.path / "part.parquet"
            if uids:
                values = ", ".join(f"({uid})" for uid in uids)
                with duckdb.connect() as con:
                    con.execute(f"copy (select {columns} from (values {values}) as t(uid)) to {literal(str(path))}")
            receipt = BuildReceipt(
                model=model,
                source=source,
                table=name,
                hour=hour,
                rows=len(uids),
                bytes=path.stat().st_size if uids else 0,
                inputs=((f"bronze/{source}/{hour}.parquet", f"build-{next(self._builds)}"),),
                mapping="m1",
                built_at=datetime(2026, 3, 2, tzinfo=UTC).isoformat(),
                file=key if uids else "",
            )

            def plan() -> Change:
                return Change(
                    moves=((work.key_of(path), key),) if uids else (),
                    deletes=() if uids else (key,),
                    receipts=tuple(build_receipts.merged_days(self.store, model, [receipt])),
                )

            publish(self.store, plan)
        self.rows[table, source, hour] = list(uids)
        return receipt

    def expected(self, table: str = "silver/authentication") -> list[tuple[str, str, int]]:
        """The rows of a table as `read` tells them."""
        return sorted(
            (source, hour, uid) for (name, source, hour), uids in self.rows.items() if name == table for uid in uids
        )


def told(rows: list[dict[str, Any]]) -> list[tuple[str, str, int]]:
    """What rows of an Iceberg table are, in the words of `Lake.expected`."""
    return sorted((row.get("source") or "", f"{row['date']}T{row['hour']}", row["time"]) for row in rows)


def data_files(folder: Path) -> list[str]:
    """The data files that lie in a folder, by name."""
    return sorted(path.name for path in folder.rglob("data/**/*.parquet"))


def footer_ids(file: Path) -> dict[str, str]:
    """The field ids of the columns of a Parquet file."""
    return {each.name: (each.metadata or {}).get(b"PARQUET:field_id", b"").decode() for each in pq.read_schema(file)}


def receipts(folder: Path) -> dict[str, Any]:
    """All receipts of publishing in a local lake, by table/source/hour."""
    return {
        f"{path.parts[-3]}/{path.parts[-2]}/{key}": told
        for path in sorted((folder / "ledger/iceberg").rglob("date=*.json"))
        for key, told in json.loads(path.read_text()).items()
    }
