"""One lake for all readers: hours that dbt built, hours of every kind of value, and hours of a later mapping."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lake.base.sql import quoted
from lake.ocsf.attributes import declared_classes
from lake.storage.store import LocalStore
from orchestration.steps.query import reading
from tests.integration import okta_logs
from tests.integration.lakes import headwater
from tests.interop import made_rows
from tests.interop.type_trees import Tree, of_duckdb

CLASSES = ("authentication", "api_activity", "base_event")
BUILT_BY_DBT = ("authentication", "base_event")
MADE = (
    (okta_logs.SOURCE, "2026-03-02T20", "today", False),
    (okta_logs.SOURCE, "2026-03-02T21", "later", True),
    ("aws_cloudtrail", "2025-12-31T04", "other", True),
)


@dataclass(frozen=True)
class Silver:
    """A lake's silver tables, and what Headwater itself reads in them."""

    path: Path

    def folder(self, table: str) -> str:
        return str(self.path / "silver" / table)

    def rows(self, table: str) -> list[dict[str, Any]]:
        cursor = reading(LocalStore(self.path), "silver").execute(f"select * from silver.{quoted(table)}")
        names = [column[0] for column in cursor.description]
        return ordered([dict(zip(names, row, strict=True)) for row in cursor.fetchall()])

    def types(self, table: str) -> dict[str, Tree]:
        relation = reading(LocalStore(self.path), "silver").sql(f"select * from silver.{quoted(table)}")
        return dict(zip(relation.columns, map(of_duckdb, relation.types), strict=True))


def ordered(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows by the folder they lie in and their event; readers give them in any order, and columns too."""
    place = ("source", "date", "hour")
    return sorted(
        rows, key=lambda row: (*(row[name] for name in place), row["metadata"]["uid"], str(row["_source_row"]))
    )


@pytest.fixture(scope="session")
def silver(tmp_path_factory: pytest.TempPathFactory, okta_project: Path) -> Silver:
    """Hours 03 to 05 are dbt's; of those in `MADE`, with every kind of value, two are of a later mapping."""
    place = tmp_path_factory.mktemp("readers")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("orchestration.dbt.project.PROJECT", okta_project)
        patch.setenv("HEADWATER_LAKE", str(place / "lake"))
        patch.delenv("HEADWATER_CONFIG", raising=False)
        patch.chdir(place)
        landed = headwater("land", okta_logs.SOURCE, okta_logs.delivery(place / "delivered"))
        built = headwater("build", "--source", okta_logs.SOURCE)
        assert (landed.code, built.code) == (0, 0), landed.err + built.err
        classes = declared_classes()
        store = LocalStore(place / "lake")
        for table in CLASSES:
            for source, hour, name, later in MADE:
                key = f"silver/{table}/source={source}/date={hour[:10]}/hour={hour[11:]}/part.parquet"
                made_rows.write(store.path / key, classes[table], f"{table}-{name}", later)
                made_rows.note(store, key, source, hour)
    return Silver(place / "lake")
