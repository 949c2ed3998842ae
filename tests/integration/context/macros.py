"""Macros of analysts' SQL without dbt, with the one Jinja extension that dbt adds and they use."""

from functools import lru_cache
from typing import Any

import jinja2

from lake.ocsf.attributes import DBT_PROJECT


@lru_cache(maxsize=1)
def _module() -> Any:
    texts = [(DBT_PROJECT / "macros" / name).read_text() for name in ("enrichments.sql", "mapping.sql")]
    return jinja2.Environment(extensions=["jinja2.ext.do"]).from_string("\n".join(texts)).make_module()


def render(macro: str, *arguments: Any) -> str:
    """Return the SQL of one macro."""
    return str(getattr(_module(), macro)(*arguments))
