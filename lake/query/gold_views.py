"""Views over marts that analysts wrote in dbt, for readers that have no dbt: `headwater query`.

What belongs here: from the SQL of a view of `models/gold/` to a SELECT over `gold.*`. What does not: dbt, the marts.

Only views that read nothing but marts (and other such views) by `ref` can be read so; a view of silver, or one with
other Jinja in it, is dbt's alone.
"""

import re
from collections.abc import Collection
from pathlib import Path

from lake.base.sql import quoted
from lake.storage import paths

_VIEW = re.compile(r"\{\{\s*config\(\s*materialized\s*=\s*[\"']view[\"']\s*\)\s*\}\}")
_REF = re.compile(r"\{\{\s*ref\(\s*[\"'](\w+)[\"']\s*\)\s*\}\}")


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
