"""The macro `ocsf_rules(class_name)`: the rules of a class as a list of {name, sql}.

What belongs here: rendering `ocsf_rules.sql`.
What does not: the rules (rules.py).
"""

from lake.ocsf import jinja
from lake.ocsf.attributes import EventClass
from lake.ocsf.rules import rules

# One macro per class: dbt compiles a macro when it is called, and all rules together are large.
_LOOK_UP = """\
{% macro ocsf_rules(class_name) -%}
  {#- Each `sql` is a boolean expression over a row of the class, TRUE when the row breaks the rule `name`. -#}
  {{ return(context["ocsf_rules__" ~ class_name]()) }}
{%- endmacro %}
"""


def render(classes: dict[str, EventClass], version: str) -> str:
    """Return the text of `macros/generated/ocsf_rules.sql`."""
    parts = [jinja.HEAD.format(version=version), _LOOK_UP]
    parts += [jinja.returning(f"ocsf_rules__{name}", "", _list(event_class)) for name, event_class in classes.items()]
    return "\n".join(parts)


def _list(event_class: EventClass) -> str:
    entries = (jinja.literal({"name": rule.name, "sql": rule.sql}) for rule in rules(event_class))
    return "[\n    " + ",\n    ".join(entries) + "\n  ]"
