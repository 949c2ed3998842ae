"""The declared subset of OCSF: `attributes.yml`, resolved against the official schema into one tree per class."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from lake.base import strict_yaml
from lake.base.errors import HeadwaterError
from lake.base.strict_yaml import BadYaml
from lake.ocsf.official import Official, official

DBT_PROJECT = Path(__file__).resolve().parents[2] / "dbt_project"
DECLARATION = Path("ocsf/attributes.yml")
TAKE_OVER = "*"
OBJECT = "object_t"
Tree = dict[str, "Tree"]


class DeclarationError(HeadwaterError, ValueError):
    """The declaration cannot be used; the message names class and path, and says what to do."""


@dataclass(frozen=True)
class Declaration:
    """What is published: OCSF version, profiles, and per class the attribute paths in column order."""

    version: str
    profiles: tuple[str, ...]
    classes: dict[str, tuple[str, ...]]


def load_declaration(path: Path) -> Declaration:
    """Read a file of declarations. Raises DeclarationError where it breaks the grammar."""
    return _declaration(path.read_bytes())


def _declaration(text: bytes | str) -> Declaration:
    try:
        document = strict_yaml.load(text)
    except BadYaml as error:
        raise DeclarationError(str(error)) from None
    if not isinstance(document, dict):
        raise DeclarationError("expected a mapping with version, profiles, shapes, base and classes")
    missing = [key for key in ("version", "profiles", "base", "classes") if key not in document]
    if missing:
        raise DeclarationError(f"{', '.join(missing)} missing")
    shapes = document.get("shapes", {})
    base = tuple(_paths(document["base"], shapes, ("base",)))
    classes = {
        name: base + tuple(_paths(entries or [], shapes, (name,))) for name, entries in document["classes"].items()
    }
    for name, paths in classes.items():
        _refuse_twice(name, paths)
    return Declaration(str(document["version"]), tuple(document["profiles"]), classes)


def _paths(entries: list[Any], shapes: dict[str, list[Any]], where: tuple[str, ...]) -> Iterator[str]:
    """Yield every path of a list of entries: `path`, or `{path: shape}` for all attributes of the shape below it."""
    for entry in entries:
        if isinstance(entry, str):
            yield entry
            continue
        if not isinstance(entry, dict) or len(entry) != 1:
            raise DeclarationError(f"{where[0]}: {entry!r}: expected a path, or `path: shape`")
        ((path, shape),) = entry.items()
        if shape not in shapes:
            raise DeclarationError(f"{where[0]}: {path}: there is no shape {shape!r}")
        if shape in where:
            raise DeclarationError(f"{where[0]}: shape {shape!r} contains itself; list the nesting as deep as needed")
        prefix = "" if path == TAKE_OVER else f"{path}."
        yield from (prefix + inner for inner in _paths(shapes[shape], shapes, (*where, shape)))


def _refuse_twice(name: str, paths: tuple[str, ...]) -> None:
    seen: set[str] = set()
    for path in paths:
        if path in seen:
            raise DeclarationError(f"{name}: {path}: declared twice")
        seen.add(path)


@dataclass(frozen=True)
class Attribute:
    """One declared attribute.

    `type` is the OCSF type (`integer_t`, `ip_t`, `object_t`, …), `base_type` the primitive below it. `enum` maps the
    allowed values to captions. `profiles` is empty for an attribute that is always allowed. `shape` holds the declared
    attributes of an object; an object without it is open and kept as JSON text.
    """

    name: str
    type: str
    base_type: str
    is_list: bool
    required: bool
    profiles: tuple[str, ...]
    enum: dict[int | str, str]
    sibling: str | None
    pattern: str | None
    max_length: int | None
    limits: tuple[int, int] | None
    shape: "Shape | None"


@dataclass(frozen=True)
class Shape:
    """The declared attributes of a class or an object (`name`), and the constraints between them."""

    name: str
    attributes: tuple[Attribute, ...]
    at_least_one: tuple[str, ...]
    just_one: tuple[str, ...]


@dataclass(frozen=True)
class EventClass:
    """One published class: `name` without extension, `key` as in the official schema (`win/…`), OCSF `version`."""

    version: str
    name: str
    key: str
    uid: int
    caption: str
    category_uid: int
    category_name: str
    profiles: tuple[str, ...]
    shape: Shape


def declared_classes(dbt_project: Path = DBT_PROJECT) -> dict[str, EventClass]:
    """Return the classes that a project's declaration publishes, by name.

    Raises:
        DeclarationError: it names class and path of an attribute that the official schema does not have, has
            deprecated, or ties to a profile that is not declared, and of a required attribute that is not declared.
        UnknownClass: the official schema has no class of this name.
    """
    return dict(_classes((dbt_project / DECLARATION).read_text(encoding="utf-8")))


@lru_cache(maxsize=16)  # every question and every build asks, and the file hardly ever changes meanwhile
def _classes(text: str) -> dict[str, EventClass]:
    declared = _declaration(text)
    schema = official(declared.version)
    return {name: _event_class(name, paths, declared, schema) for name, paths in declared.classes.items()}


def _event_class(name: str, paths: tuple[str, ...], declaration: Declaration, schema: Official) -> EventClass:
    definition = schema.class_definition(name)
    resolver = _Resolver(name, declaration.profiles, schema)
    shape = resolver.shape("", name, _tree(name, paths), definition)
    ((category_uid, category),) = definition["attributes"]["category_uid"]["enum"].items()
    return EventClass(
        version=declaration.version,
        name=name,
        key=schema.class_key(name),
        uid=int(definition["uid"]),
        caption=definition["caption"],
        category_uid=int(category_uid),
        category_name=category["caption"],
        profiles=declaration.profiles,
        shape=shape,
    )


def _tree(name: str, paths: tuple[str, ...]) -> Tree:
    """Fold `a.b[].c` paths into nested dicts keyed by step, in order of first appearance."""
    root: Tree = {}
    for path in paths:
        node = root
        for step in path.split("."):
            if not step.removesuffix("[]"):
                raise DeclarationError(f"{name}: {path!r}: empty step in the path")
            node = node.setdefault(step, {})
    return root


@dataclass(frozen=True)
class _Resolver:
    class_name: str
    profiles: tuple[str, ...]
    schema: Official

    def fail(self, path: str, what: str) -> DeclarationError:
        return DeclarationError(f"{self.class_name}: {path}: {what}")

    def shape(self, path: str, name: str, tree: Tree, definition: dict[str, Any]) -> Shape:
        attributes = tuple(self.attribute(path, step, below, definition) for step, below in tree.items())
        names = {attribute.name for attribute in attributes}
        self._check_required(path, names, definition)
        constraints = definition.get("constraints") or {}
        return Shape(
            name,
            attributes,
            self._constraint(path, names, constraints, "at_least_one"),
            self._constraint(path, names, constraints, "just_one"),
        )

    def attribute(self, parent: str, step: str, below: Tree, definition: dict[str, Any]) -> Attribute:
        name, is_list = step.removesuffix("[]"), step.endswith("[]")
        path = f"{parent}.{step}" if parent else step
        found = definition["attributes"].get(name)
        if found is None:
            raise self.fail(path, f"OCSF {self.schema.version} has no such attribute in {definition['caption']}")
        self._check_usable(path, is_list, found)
        type_name = found["type"]
        scalar = {} if type_name == OBJECT else self.schema.type_definition(type_name)
        low_high = scalar.get("range")
        return Attribute(
            name=name,
            type=type_name,
            base_type=scalar.get("type", type_name),
            is_list=is_list,
            required=found.get("requirement") == "required",
            profiles=tuple(found.get("profiles") or ()),
            enum=_enum(found, scalar.get("type", type_name)),
            sibling=found.get("sibling"),
            pattern=scalar.get("regex"),
            max_length=scalar.get("max_len"),
            limits=(low_high[0], low_high[1]) if low_high else None,
            shape=self._below(path, below, found),
        )

    def _below(self, path: str, below: Tree, found: dict[str, Any]) -> Shape | None:
        if found["type"] != OBJECT:
            if below:
                raise self.fail(path, f"is a {found['type']} and has no attributes below it")
            return None
        definition = self.schema.object_definition(found["object_type"])
        is_open = not definition["attributes"]
        if is_open and below:
            raise self.fail(path, "is an open object, kept as JSON text: list it without attributes")
        if is_open:
            return None
        if not below:
            raise self.fail(path, f"is an object ({found['object_type']}): list which of its attributes are wanted")
        return self.shape(path, found["object_type"], below, definition)

    def _check_usable(self, path: str, is_list: bool, found: dict[str, Any]) -> None:
        if bool(found.get("is_array")) != is_list:
            raise self.fail(
                path, "is a list: write [] after it" if found.get("is_array") else "is no list: drop the []"
            )
        if "@deprecated" in found:
            raise self.fail(path, f"is deprecated: {found['@deprecated'].get('message', '')}")
        tied_to = found.get("profiles") or []
        if tied_to and not set(tied_to) & set(self.profiles):
            raise self.fail(path, f"belongs to the profile {' or '.join(tied_to)}, which `profiles` does not name")

    def _check_required(self, path: str, names: set[str], definition: dict[str, Any]) -> None:
        for name, found in definition["attributes"].items():
            tied_to = found.get("profiles") or []
            if tied_to and not set(tied_to) & set(self.profiles):
                continue
            if found.get("requirement") == "required" and name not in names:
                raise self.fail(f"{path}.{name}" if path else name, "is required by OCSF, but not declared")

    def _constraint(self, path: str, names: set[str], constraints: dict[str, list[str]], kind: str) -> tuple[str, ...]:
        wanted = constraints.get(kind) or []
        declared = tuple(name for name in wanted if name in names)
        if wanted and not declared:
            raise self.fail(path or self.class_name, f"OCSF wants {kind} of {', '.join(wanted)}, but none is declared")
        return declared


def _enum(found: dict[str, Any], base_type: str) -> dict[int | str, str]:
    """Return the allowed values with their captions, numbers as int, in ascending order."""
    entries = found.get("enum") or {}
    if base_type in ("integer_t", "long_t"):
        return {int(value): entries[value]["caption"] for value in sorted(entries, key=int)}
    return {value: entries[value]["caption"] for value in sorted(entries)}
