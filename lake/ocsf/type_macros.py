"""The macro `ocsf_types()` and its part per class: uid, category, captions, profiles and columns.

What belongs here: rendering `ocsf_types.sql`.
What does not: choosing types (columns.py).
"""

from lake.ocsf import jinja
from lake.ocsf.attributes import EventClass
from lake.ocsf.columns import columns
from lake.ocsf.rules import profiles_filled


def render(classes: dict[str, EventClass], version: str) -> str:
    """Return the text of `macros/generated/ocsf_types.sql`."""
    parts = [jinja.HEAD.format(version=version)]
    parts += [jinja.returning(f"ocsf_type__{name}", "", _class_literal(found)) for name, found in classes.items()]
    everything = ",\n    ".join(f"{jinja.text(name)}: ocsf_type__{name}()" for name in classes)
    parts.append(jinja.returning("ocsf_types", "", "{\n    " + everything + "\n  }"))
    return "\n".join(parts)


def _class_literal(event_class: EventClass) -> str:
    head = {
        "uid": event_class.uid,
        "caption": event_class.caption,
        "category_uid": event_class.category_uid,
        "category_name": event_class.category_name,
        "version": event_class.version,
        "profiles": event_class.profiles,
        "profiles_filled": profiles_filled(event_class),
    }
    rows = ",\n      ".join(jinja.literal(column) for column in columns(event_class))
    return jinja.literal(head)[:-1] + ',\n    "columns": [\n      ' + rows + "\n    ]}"
