"""The attributes of a class that can be looked up: observables, machines and accounts, by the official schema's types.

The official schema gives types of attributes (`ip_t`, `hostname_t`, …) and some attributes (`cve.uid`) an `observable`
number, the `type_id` that they have in `observables[]`. An index for matching leaves out numbers for which no list has
indicators (user names, ports, command lines, …). Some attributes hold observables though their type is a plain string:
`TEXTS`.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from lake.base.sql import literal, quoted
from lake.ocsf.attributes import Attribute, EventClass, Shape
from lake.ocsf.columns import EVERYTHING, Filled
from lake.ocsf.official import Official, official

# Number of the official schema (`observable.type_id`) → what its text is. `host` is a name or an address, `url` also
# gives the host in it.
NUMBERS = {1: "host", 2: "ip", 5: "email", 6: "url", 8: "hash", 18: "cve"}
# What OCSF 1.8 describes as an observable and types as `string_t`: attribute name → what its text is, by object.
TEXTS = {("dns_answer", "rdata"): "host", ("http_request", "referrer"): "url", ("tls", "sni"): "host"}
OBSERVABLES = "observables"
_CONTEXT = (OBSERVABLES, "enrichments", "osint")  # what is said about an event, or again; not of the event itself
# OCSF type → number and caption of its observable (`observable.type_id` of the official schema), and the kind of key
# under which reference tables hold it; '' for what no reference table of observables holds.
_TYPES = {
    "ip_t": (2, "IP Address", "ip"),
    "hostname_t": (1, "Hostname", "domain"),
    "url_t": (6, "URL String", "url"),
    "email_t": (5, "Email Address", "email"),
    "file_hash_t": (8, "Hash", "hash"),
    "username_t": (4, "User Name", ""),
}
MACHINES, ACCOUNT = ("endpoint", "network_endpoint", "device"), "user"
# By what a machine and an account is called, besides its observables.
_CALLED = {
    "machine": ("uid", "instance_uid", "ip", "hostname", "name"),
    "account": ("uid", "uid_alt", "email_addr", "domain", "name"),
}


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
        return f"unnest({_sql(self.path)})" if "[]" in self.path else _sql(self.path)


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
    return (
        "case each.type_id "
        + " ".join(f"when {number} then {literal(text)}" for number, text in NUMBERS.items())
        + " end"
    )


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


@dataclass(frozen=True)
class Observed:
    """One attribute with an observable: `path` (`[]` after lists), its observable type, and the kind of its key.

    `sql` gives the text of a row, or the texts (`is_list`), which may hold NULLs.
    """

    path: str
    type_id: int
    type: str
    kind: str
    sql: str
    is_list: bool

    @property
    def name(self) -> str:
        """The path as `observables[].name` gives it: a fingerprint is named by its list, as the mappings do."""
        return self.path.removesuffix("[].value")


@dataclass(frozen=True)
class Subject:
    """One object of an event that is asked about as a whole: its own path, and what it is (machine, account or '').

    `called` maps attributes by which a machine or an account is known to the SQL that reads them.
    """

    path: str
    entity: str
    observed: tuple[Observed, ...]
    called: dict[str, str]


def observed(event_class: EventClass, filled: Filled = EVERYTHING) -> list[Observed]:
    """Return the attributes with an observable that a row may have, in the order of the columns."""
    return [each for _, each in _observed(event_class.shape, "", "", filled)]


def subjects(event_class: EventClass, filled: Filled = EVERYTHING) -> list[Subject]:
    """Return the objects that are asked about: machines and accounts outside lists, and what holds an observable."""
    entities = dict(_entities(event_class.shape, "", filled))
    found: dict[str, list[Observed]] = {path: [] for path in entities}
    for owner, each in _observed(event_class.shape, "", "", filled):
        subject = next((path for path in entities if f"{each.path}.".startswith(f"{path}.")), owner)
        found.setdefault(subject, []).append(each)
    return [
        Subject(path, entities.get(path, ""), tuple(held), _called(path, entities.get(path, ""), filled))
        for path, held in found.items()
    ]


def _entities(shape: Shape, parent: str, filled: Filled) -> Iterator[tuple[str, str]]:
    for attribute in shape.attributes:
        path = f"{parent}{attribute.name}"
        if attribute.shape is None or attribute.is_list or path not in filled:
            continue
        if attribute.shape.name in MACHINES:
            yield path, "machine"
        elif attribute.shape.name == ACCOUNT and _is_party(path):
            yield path, "account"
        else:
            yield from _entities(attribute.shape, f"{path}.", filled)


def _is_party(path: str) -> bool:
    """Whether an account takes part in the event. Who owns something is only mentioned, and of processes only the one
    that the event is about has an account of its own: those around it run as the actor."""
    return path.endswith(("user", "user_result")) and ("process." not in path or path == "process.user")


def _called(path: str, entity: str, filled: Filled) -> dict[str, str]:
    return {name: _sql(f"{path}.{name}") for name in _CALLED.get(entity, ()) if f"{path}.{name}" in filled.paths}


def _observed(shape: Shape, parent: str, outside: str, filled: Filled) -> Iterator[tuple[str, Observed]]:
    """Yield (path of the object it belongs to, attribute); `outside` is that object's path once a list was entered."""
    for attribute in shape.attributes:
        path = f"{parent}{attribute.name}" + ("[]" if attribute.is_list else "")
        if path.replace("[]", "") not in filled.paths or path.startswith(("observables", "enrichments", "osint")):
            continue
        owner = outside or parent.rstrip(".")
        if attribute.shape is not None:
            inside = outside or (path.removesuffix("[]") if attribute.is_list else "")
            yield from _observed(attribute.shape, f"{path}.", inside, filled)
        elif attribute.type in _TYPES:
            yield owner, _of(path, attribute)


def _of(path: str, attribute: Attribute) -> Observed:
    type_id, caption, kind = _TYPES[attribute.type]
    return Observed(path, type_id, caption, kind, _sql(path), "[]" in path)


def _sql(path: str) -> str:
    """`a.b[].c` as SQL: a list of the c of every b. Lists within lists become one list."""
    head, *rest = path.split("[]")
    expression = ".".join(map(quoted, head.split(".")))
    return _elements(expression, rest, 0) if rest else expression


def _elements(expression: str, rest: list[str], depth: int) -> str:
    after, *more = rest
    if not after:
        return expression
    element = f"e{depth}"
    inner = ".".join([element, *map(quoted, after.strip(".").split("."))])
    listed = f"list_transform({expression}, lambda {element}: {_elements(inner, more, depth + 1) if more else inner})"
    return f"flatten({listed})" if more else listed
