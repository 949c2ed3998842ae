"""Kinds of destinations: the files of `lake.export.destinations`, found by their names.

What belongs here: from settings to an open destination. What does not: a list of kinds.
"""

import importlib
import os
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import msgspec

import lake.export.destinations
from lake.export.destination import Destination, Place
from lake.export.errors import BadDeclaration, plainly


@dataclass(frozen=True)
class Configured:
    """A destination as the settings name it: its kind, and that kind's own `Options`."""

    name: str
    kind: str
    options: Any

    def open(self, place: Place) -> Destination:
        """Return the destination, ready to push. Raises ExportError."""
        return cast(Destination, module_of(self.kind).open_destination(self.name, self.options, place))

    @property
    def lacking(self) -> list[str]:
        """Return what the settings name and this machine lacks: variables, files to read, a folder to write to."""
        given = {name: getattr(self.options, name) for name in self.options.__struct_fields__}
        named = [(f"destinations.{self.name}.{name}", said) for name, said in given.items() if said]
        return [
            *(
                f"the variable {said} is not set ({where} names it)"
                for where, said in named
                if where.endswith("_env") and not os.environ.get(said)
            ),
            *(
                f"{said} cannot be read ({where} names it)"
                for where, said in named
                if where.endswith("_file") and not os.access(said, os.R_OK)
            ),
            *(
                f"{said} cannot be written to ({where} names it)"
                for where, said in named
                if where.endswith(".root") and "://" not in said and not _is_writable(Path(said))
            ),
        ]


def _is_writable(folder: Path) -> bool:
    """Whether a folder can be written to, or made."""
    there = next(each for each in (folder, *folder.parents) if each.exists())
    return there.is_dir() and os.access(there, os.W_OK)


def kinds() -> list[str]:
    """Return the names of all kinds of destinations."""
    return sorted(each.name for each in pkgutil.iter_modules(lake.export.destinations.__path__))


def module_of(kind: str) -> ModuleType:
    """Return the file of a kind."""
    return importlib.import_module(f"lake.export.destinations.{kind}")


def configured(name: str, given: Mapping[str, Any]) -> Configured:
    """Return a destination of the settings. In these, `root` and names that end in `_file` are paths.

    Raises:
        BadDeclaration: the type is unknown, or a setting of it is unknown, missing or of another type.
    """
    kind = given.get("type")
    if kind not in kinds():
        found = f"{kind!r} is no type" if kind else "no `type` is given"
        raise BadDeclaration(f"destinations.{name}: {found} (known: {', '.join(kinds())})")
    rest = {key: value for key, value in given.items() if key != "type"}
    try:
        options = msgspec.convert(rest, module_of(str(kind)).Options, strict=False)
    except msgspec.ValidationError as problem:
        known = module_of(str(kind)).Options.__struct_encode_fields__
        raise BadDeclaration(f"destinations.{name}{plainly(problem, known)}") from None
    return Configured(name, str(kind), options)
