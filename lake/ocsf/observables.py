"""Which attributes of a class are observables: what lists of hostile addresses, names, URLs or hashes are held against.

What belongs here: paths of a class by the official schema, and the SQL that takes their texts out of rows. What does
not: keys (`lake.matching.keys`), indexes, indicators.

The official schema gives types of attributes (`ip_t`, `hostname_t`, …) and some attributes (`cve.uid`) an `observable`
number, the `type_id` that they have in `observables[]`. Numbers for which no list has indicators (user names, ports,
command lines, …) are left out. Some attributes hold observables though their type is a plain string: `TEXTS`.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from lake.ocsf.attributes import Attribute, EventClass, Shape
from lake.ocsf.official import Official, official

# Number of the official schema (`observable.type_id`) → what its text is. `host` is a name or an address, `url` also
# gives the host in it.
NUMBERS = {1: "host", 2: "ip", 5: "email", 6: "url", 8: "hash", 18: "cve"}
# What OCSF 1.8 describes as an observable and types as `string_t`: attribute name → what its text is, by object.
TEXTS = {("dns_answer", "rdata"): "host", ("http_request", "referrer"): "url", ("tls", "sni"): "host"}
OBSERVABLES = "observables"
_CONTEXT = (OBSERVABLES, "enrichments", "osint")  # what is said about an event, or again; not of the event itself


@dataclass(frozen=True)
class ObservablePath:
    """One attribute that holds observables: its path as OCSF spells it, lists with `[]`, and what its text is.

    `text` is one of the values of NUMBERS.
    """

    path: str
    text: str

    @property
    def leaf(self) -> str:
        """Return the path without `[]`."""
        return self.path.replace("[]", "")

    @property
    def sql(self) -> str:
        """Return SQL that gives the texts of a row: one row for each, in a SELECT list."""
        steps = self.path.split(".")
        if not any(step.endswith("[]") for step in steps):
            return ".".join(map(_quoted, steps))
        return f"unnest({_listed('', steps, 0)})"


def observable_paths(event_class: EventClass) -> list[ObservablePath]:
    """Return the attributes of a class that hold observables, in the order of its columns.

    `observables[]` is not among them, nor what reference tables said about the event.
    """
    schema = official(event_class.version)
    return list(_paths(event_class.shape, "", schema))


def filled_paths(paths: Collection[ObservablePath], leaves: Collection[str]) -> list[ObservablePath]:
    """Return those of some paths that are among the leaf columns of a file (`a.b.c`, without list levels)."""
    return [each for each in paths if each.leaf in leaves]


def given_text() -> str:
    """Return SQL of what the text of an element `each` of `observables[]` is, NULL for what nobody searches."""
    return "case each.type_id " + " ".join(f"when {number} then '{text}'" for number, text in NUMBERS.items()) + " end"


def _paths(shape: Shape, above: str, schema: Official) -> Iterator[ObservablePath]:
    definition = {} if not above else schema.object_definition(shape.name)["attributes"]
    for each in shape.attributes:
        path = f"{above}{each.name}" + ("[]" if each.is_list else "")
        if each.shape is not None:
            if above or each.name not in _CONTEXT:
                yield from _paths(each.shape, f"{path}.", schema)
        elif text := _text(shape.name, each, definition.get(each.name, {}).get("observable"), schema):
            yield ObservablePath(path, text)


def _text(owner: str, attribute: Attribute, number: int | None, schema: Official) -> str:
    if attribute.type == "object_t":
        return ""
    found = number or schema.type_definition(attribute.type).get("observable")
    return NUMBERS.get(found or 0) or TEXTS.get((owner, attribute.name), "")


def _listed(base: str, steps: list[str], depth: int) -> str:
    """SQL of one flat list of the texts below `base`."""
    expression, rest = base, list(steps)
    while rest:
        step = rest.pop(0)
        name = _quoted(step.removesuffix("[]"))
        expression = f"{expression}.{name}" if expression else name
        if step.endswith("[]") and rest:
            inner = _listed(f"e{depth}", rest, depth + 1)
            mapped = f"list_transform({expression}, lambda e{depth}: {inner})"
            return f"flatten({mapped})" if any(each.endswith("[]") for each in rest) else mapped
    return expression


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
