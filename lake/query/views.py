"""Views over the lake's tables: statements for dbt runs, and the analysts' own gold views for `headwater query`."""

import re
from collections.abc import Collection, Sequence
from pathlib import Path

from lake.base.sql import quoted
from lake.storage import paths
from lake.storage.parquet import Address, typed_select
from lake.storage.store import Store

_VIEW = re.compile(r"\{\{\s*config\(\s*materialized\s*=\s*[\"']view[\"']\s*\)\s*\}\}")
_REF = re.compile(r"\{\{\s*ref\(\s*[\"'](\w+)[\"']\s*\)\s*\}\}")


def bronze_view(source: str, columns: Sequence[Sequence[str]], files: Sequence[Address]) -> str:
    """Return the statement that makes `bronze.<source>` over some bronze files."""
    return f"create or replace view bronze.{quoted(paths.checked(source))} as {typed_select(columns, files)}"


def lake_table(store: Store, table: str, source: str, columns: Sequence[Sequence[str]]) -> str:
    """Return a SELECT over all hours of one class and source, or of a source's dispositions."""
    folder = paths.dispositions_folder(source) if table == "dispositions" else paths.silver_folder(table, source)
    has_files = next(iter(store.list(folder)), None) is not None
    return typed_select(columns, [store.url(f"{folder}/date=*/hour=*/*.parquet")] if has_files else [])


def mart_files(store: Store, mart: str) -> list[str]:
    """Return the address of all files of a mart: a pattern, or nothing where it has none."""
    folder = paths.gold_folder(mart)
    has_files = next(iter(store.list(folder)), None) is not None
    return [store.url(f"{folder}/date=*/hour=*/*.parquet")] if has_files else []


def gold_views(project: Path, marts: Collection[str]) -> dict[str, str]:
    """Return SELECT by view, each after those that it reads; only of views whose marts there are."""
    waiting = {path.stem: path.read_text() for path in sorted(project.glob(f"models/{paths.GOLD}/**/*.sql"))}
    waiting = {name: sql for name, sql in waiting.items() if _VIEW.search(sql)}
    found: dict[str, str] = {}
    while ready := [name for name, sql in waiting.items() if set(_REF.findall(sql)) <= {*marts, *found}]:
        for name in ready:
            sql = _REF.sub(lambda ref: f"{paths.GOLD}.{quoted(ref[1])}", _VIEW.sub("", waiting.pop(name))).strip()
            if "{{" not in sql and "{%" not in sql and "reference." not in sql:
                found[name] = sql
    return found
