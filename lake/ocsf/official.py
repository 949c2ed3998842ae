"""The official OCSF schema of one version, as the package `ocsf-json-schema` carries it."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from ocsf_json_schema import get_ocsf_schema

from lake.base.errors import HeadwaterError


class UnknownClass(HeadwaterError, LookupError):
    """The official schema has no class of this name."""


@dataclass(frozen=True)
class Official:
    """The schema of one version: `definition` is the compiled schema as published by schema.ocsf.io."""

    version: str
    definition: dict[str, Any]

    def class_key(self, name: str) -> str:
        """Return the published key of a class: the name itself, or with its extension in front (`win/…`).

        Raises UnknownClass.
        """
        classes = self.definition["classes"]
        found = [key for key in classes if key == name or key.rpartition("/")[2] == name]
        if not found:
            raise UnknownClass(f"{name}: OCSF {self.version} has no such class")
        return str(name if name in found else found[0])

    def class_definition(self, name: str) -> dict[str, Any]:
        """Return the published definition of a class (caption, uid, attributes, constraints, …)."""
        definition: dict[str, Any] = self.definition["classes"][self.class_key(name)]
        return definition

    def object_definition(self, name: str) -> dict[str, Any]:
        """Return the published definition of an object; the object `object` has no attributes and is open."""
        definition: dict[str, Any] = self.definition["objects"][name]
        return definition

    def type_definition(self, name: str) -> dict[str, Any]:
        """Return the published definition of a scalar type: `type` (its base), `regex`, `max_len`, `range`."""
        definition: dict[str, Any] = self.definition["dictionary"]["types"]["attributes"][name]
        return definition


@cache
def official(version: str) -> Official:
    """Return the official schema of a version, e.g. "1.8.0"."""
    return Official(version, get_ocsf_schema(version))
