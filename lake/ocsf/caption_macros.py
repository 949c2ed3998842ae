"""The macro `ocsf_caption(class_name, attribute, id_expression)`: the official caption of an id, as a CASE.

What belongs here: rendering `ocsf_enums.sql`.
What does not: which ids are allowed in a row (rules.py).
"""

from collections.abc import Iterator

from lake.ocsf import jinja
from lake.ocsf.attributes import Attribute, EventClass, Shape

Enum = dict[int | str, str]

_CAPTION = """\
{% macro ocsf_caption(class_name, attribute, id_expression) -%}
  {#- `attribute` is the path of the id or of its caption: severity_id or severity, actor.user.type_id or
      actor.user.type. An id that OCSF does not list gives NULL. -#}
  {%- set table = ocsf_enum_paths().get(class_name, {}).get(attribute) -%}
  {%- if table is none -%}
    {{ exceptions.raise_compiler_error("ocsf_caption: " ~ class_name ~ " has no captions for " ~ attribute) }}
  {%- endif -%}
  case {{ id_expression }}
  {%- for id, caption in ocsf_enums()[table].items() %} when {{ id }} then '{{ caption | replace("'", "''") }}'
  {%- endfor %} end
{%- endmacro %}
"""


def render(classes: dict[str, EventClass], version: str) -> str:
    """Return the text of `macros/generated/ocsf_enums.sql`."""
    tables: dict[str, Enum] = {}
    paths = {name: _class_paths(event_class.shape, tables) for name, event_class in classes.items()}
    return "\n".join(
        [
            jinja.HEAD.format(version=version),
            _CAPTION,
            jinja.returning("ocsf_enums", "", jinja.rows(tables)),
            jinja.returning("ocsf_enum_paths", "", jinja.rows(paths)),
        ]
    )


def _class_paths(shape: Shape, tables: dict[str, Enum]) -> dict[str, str]:
    """Return which table holds the captions of each id and caption path; new tables are added to `tables`."""
    found: dict[str, str] = {}
    for parent, owner, attribute in _captioned(shape, ""):
        table = _table(f"{owner}.{attribute.name}", attribute.enum, tables)
        found[parent + attribute.name] = table
        found[parent + str(attribute.sibling)] = table
    return found


def _captioned(shape: Shape, parent: str) -> Iterator[tuple[str, str, Attribute]]:
    for attribute in shape.attributes:
        if attribute.enum and attribute.sibling:
            yield parent, shape.name, attribute
        if attribute.shape:
            yield from _captioned(attribute.shape, f"{parent}{attribute.name}.")


def _table(name: str, enum: Enum, tables: dict[str, Enum]) -> str:
    """Return the name of the table with these captions: an equal one that is there already, or a new one."""
    last = name.rpartition(".")[2]
    for known, captions in tables.items():
        if captions == enum and known.rpartition(".")[2] == last:
            return known
    tables[name] = enum
    return name
