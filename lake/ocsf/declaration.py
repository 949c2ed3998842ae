"""The declared subset: `attributes.yml` read into plain attribute paths per class.

What belongs here: the grammar of that file, and unfolding its shapes.
What does not: whether the paths exist in the official schema (attributes.py).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lake.base.errors import HeadwaterError

TAKE_OVER = "*"
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast


class DeclarationError(HeadwaterError, ValueError):
    """The declaration cannot be used; the message names class and path, and says what to do."""


@dataclass(frozen=True)
class Declaration:
    """What is published: OCSF version, profiles, and per class the attribute paths in column order."""

    version: str
    profiles: tuple[str, ...]
    classes: dict[str, tuple[str, ...]]


def load_declaration(path: Path) -> Declaration:
    """Read the declaration. Raises DeclarationError for a file that does not hold to the grammar."""
    return declaration(path.read_text(encoding="utf-8"))


def declaration(text: str) -> Declaration:
    """Read the text of a declaration. Raises DeclarationError for one that does not hold to the grammar."""
    try:
        document = yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise DeclarationError(f"not YAML: {' '.join(str(error).split())}") from error
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
