"""Attributes of OCSF tables that are asked about: `<table>.<path>`, and the kind of observable they hold."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from lake.base.sql import quoted
from lake.ocsf.attributes import EventClass
from lake.ocsf.columns import columns, filled_by

# What the last name of a path says of the observable, by OCSF's types ip_t, hostname_t, url_t and file_hash_t.
KINDS = {
    "ip": "ip",
    "hostname": "domain",
    "domain": "domain",
    "url_string": "url",
    "url": "url",
    "hashes[].value": "hash",
}
_NAME = re.compile(r"(?P<table>[a-z][a-z0-9_]*)[.](?P<path>[a-z][a-z0-9_]*(\[\])?([.][a-z][a-z0-9_]*(\[\])?)*)\Z")


@dataclass(frozen=True)
class Attribute:
    """One attribute of a table, and the kind of its observables. At most one name of the path is a list (`[]`)."""

    table: str
    path: str
    kind: str

    def texts_sql(self, relation: str) -> str:
        """Return an expression for the texts it holds in a row of a relation, VARCHAR[]."""
        before, _, after = self.path.partition("[].")
        column = ".".join([relation, *map(quoted, before.split("."))])
        if not after:
            return f"[{column}]"
        inner = ".".join(map(quoted, after.split(".")))
        return f"list_transform({column}, lambda each: each.{inner})"


def attribute_of(text: str) -> Attribute:
    """Return the attribute that a setting names.

    Raises:
        ValueError: it is no `<table>.<path>`, or of a kind that nobody can be asked about.
    """
    found = _NAME.match(text)
    if not found or found["path"].count("[]") > 1 or found["path"].endswith("[]"):
        raise ValueError(f"{text!r}: expected <table>.<attribute>, for instance authentication.src_endpoint.ip")
    path = found["path"]
    kind = next((kind for end, kind in KINDS.items() if path == end or path.endswith(f".{end}")), None)
    if kind is None:
        raise ValueError(f"{text!r}: nobody can be asked about it (attributes end in {', '.join(KINDS)})")
    return Attribute(found["table"], path, kind)


def unknown_attributes(attributes: Iterable[Attribute], classes: dict[str, EventClass]) -> list[str]:
    """Return what is wrong with attributes: one line for each whose table or path there is not."""
    wrong = []
    for each in attributes:
        if each.table not in classes:
            wrong.append(f"{each.table}.{each.path}: there is no table {each.table}")
        elif each.path.replace("[]", "") not in filled_by(dict(columns(classes[each.table]))):
            wrong.append(
                f"{each.table}.{each.path}: {each.table} has no such attribute (dbt_project/ocsf/attributes.yml)"
            )
    return wrong
