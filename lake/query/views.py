"""Views over the lake's tables: statements for dbt runs, and the analysts' own gold views for `headwater query`."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from lake.base.sql import quoted
from lake.storage import paths
from lake.storage.duck import typed_select
from lake.storage.paths import Address
from lake.storage.store import Store


def bronze_view(source: str, columns: Sequence[Sequence[str]], files: Sequence[Address]) -> str:
    """Return the statement that makes `bronze.<source>` over some bronze files."""
    return f"create or replace view bronze.{quoted(paths.checked(source))} as {typed_select(columns, files)}"


def lake_table(store: Store, table: str, source: str, columns: Sequence[Sequence[str]]) -> str:
    """Return a SELECT over all hours of one class and source, or of a source's dispositions."""
    folder = paths.outcomes_folder(source) if table == "dispositions" else paths.silver_folder(table, source)
    has_files = next(iter(store.list(folder)), None) is not None
    return typed_select(columns, [store.url(f"{folder}/date=*/hour=*/*.parquet")] if has_files else [])


def mart_files(store: Store, mart: str) -> list[str]:
    """Return the address of all files of a mart: a pattern, or nothing where it has none."""
    folder = paths.gold_folder(mart)
    has_files = next(iter(store.list(folder)), None) is not None
    return [store.url(f"{folder}/date=*/hour=*/*.parquet")] if has_files else []


@dataclass(frozen=True)
class GoldView:
    """A view that an analyst wrote in gold: its SQL over `gold.*`, empty where it needs dbt to be read."""

    name: str
    reads: tuple[str, ...]
    sql: str


def gold_views(views: Iterable[GoldView], marts: Collection[str]) -> dict[str, str]:
    """Return SELECT by view, each after those that it reads; only of views that read nothing but marts that there are.

    A view of silver, or one that needs more of dbt than `ref`, is dbt's alone.
    """
    waiting = [each for each in views if each.sql and "reference." not in each.sql]
    found: dict[str, str] = {}
    while ready := [each for each in waiting if {*each.reads} <= {*marts, *found}]:
        found |= {each.name: each.sql for each in ready}
        waiting = [each for each in waiting if each.name not in found]
    return found
