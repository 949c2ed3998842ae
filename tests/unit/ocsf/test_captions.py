from functools import cache
from typing import Any

import duckdb
import jinja2
import pytest

from lake.ocsf.attributes import DBT_PROJECT
from lake.ocsf.generate import GENERATED


class CompilerError(Exception):
    pass


class Exceptions:
    def raise_compiler_error(self, message: str) -> None:
        raise CompilerError(message)


class Returned(Exception):
    """Carries what a macro returns, as dbt's own `return` does."""

    def __init__(self, value: object) -> None:
        self.value = value


@cache
def macros() -> Any:
    """The generated macros of enumerations."""
    text = (DBT_PROJECT / GENERATED / "ocsf_enums.sql").read_text(encoding="utf-8")
    environment = jinja2.Environment(extensions=["jinja2.ext.do"], autoescape=False)
    environment.globals.update(exceptions=Exceptions())
    return environment.from_string(_with_returns(text, environment)).module


def caption(class_name: str, attribute: str, value: int) -> str | None:
    """What `ocsf_caption` gives for one id, by running its SQL."""
    sql = macros().ocsf_caption(class_name, attribute, str(value))
    row = duckdb.execute(f"select {sql}").fetchone()
    assert row
    return row[0]


def _with_returns(text: str, environment: jinja2.Environment) -> str:
    """Plain Jinja has no `return`: the two macros that return a mapping become variables' functions."""
    for name in ("ocsf_enums", "ocsf_enum_paths"):
        head = f"{{% macro {name}() -%}}\n  {{{{ return("
        start = text.index(head) + len(head)
        end = text.index(") }}\n{%- endmacro %}", start)
        value = environment.compile_expression(text[start:end])()
        environment.globals[name] = lambda value=value: value
        text = text[: start - len(head)] + text[end + len(") }}\n{%- endmacro %}") :]
    return text


@pytest.mark.parametrize(
    ("class_name", "attribute", "value", "expected"),
    [
        ("authentication", "activity_name", 1, "Logon"),
        ("authentication", "activity_id", 2, "Logoff"),
        ("authentication", "type_name", 300201, "Authentication: Logon"),
        ("authentication", "category_name", 3, "Identity & Access Management"),
        ("authentication", "class_name", 3002, "Authentication"),
        ("api_activity", "severity", 1, "Informational"),
        ("api_activity", "status", 2, "Failure"),
        ("api_activity", "activity_name", 1, "Create"),
        ("process_activity", "actor.user.type", 3, "System"),
        ("base_event", "category_name", 0, "Uncategorized"),
        ("windows_service_activity", "class_name", 201004, "Windows Service Activity"),
        ("authentication", "activity_name", 98, None),
    ],
)
def test_an_id_has_its_official_caption(class_name: str, attribute: str, value: int, expected: str | None) -> None:
    assert caption(class_name, attribute, value) == expected


def test_an_attribute_without_captions_is_an_error_that_names_it() -> None:
    with pytest.raises(CompilerError, match="authentication has no captions for message"):
        caption("authentication", "message", 1)
