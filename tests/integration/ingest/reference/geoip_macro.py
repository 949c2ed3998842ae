"""Renders `dbt_project/macros/geoip.sql` without dbt, with the one Jinja extension that dbt adds and the macros use."""

from pathlib import Path
from typing import Any

import jinja2

MACROS = Path(__file__).parents[4] / "dbt_project" / "macros" / "geoip.sql"


def render(macro: str, *arguments: Any) -> str:
    """The SQL of one macro."""
    environment = jinja2.Environment(extensions=["jinja2.ext.do"])
    module = environment.from_string(MACROS.read_text(encoding="utf-8")).make_module()
    return str(getattr(module, macro)(*arguments))
