"""What is wrong with settings, in the words of a user who wrote a file; loaded when something is."""

import os
from collections.abc import Iterable, Mapping
from functools import reduce
from types import MappingProxyType
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from lake.base.errors import nearest
from lake.base.strict_yaml import Twice

_GROUPS = (("sources",), ("destinations",), ("lookups",), ("reference", "feeds"))  # whose entries stand alone


def with_line(lines: Mapping[tuple[str, ...], int], environment: str, place: str, sentence: str) -> str:
    """Return a sentence about a place (`sources.x.root`), with the line, or the variable, where it was given.

    `lines` has the line of every key of the file; of the longest known part of the place it is told.
    """
    steps = tuple(place.split("."))
    parts = [steps[:n] for n in range(len(steps), 0, -1)]
    for part in parts:
        if (variable := f"HEADWATER_{'__'.join(part)}".upper()) in os.environ:
            return f"{sentence} (variable {variable})"
    known = (lines.get(path) for part in parts for path in (("environments", environment, *part), part))
    found = next((each for each in known if each), None)
    return f"{sentence} (line {found})" if found and "(line " not in sentence else sentence


def without_entries(held: dict[str, Any], wrong: Iterable[Twice], left_out: dict[str, str] | None) -> str:
    """Take the entries that are wrong out of what a file holds, and note why; return what is wrong with all of it."""
    for each in wrong:
        group = next((group for group in _GROUPS if each.path[: len(group)] == group != each.path), ())
        if not group or left_out is None:
            return str(each)
        left_out.setdefault(".".join(each.path[: len(group) + 1]), str(each))
        entries = reduce(lambda inner, step: inner.get(step), group, held)
        if isinstance(entries, dict):
            entries.pop(each.path[len(group)], None)
    return ""


def sentences(
    problem: ValidationError,
    model: type[BaseModel],
    lines: Mapping[tuple[str, ...], int] = MappingProxyType({}),
    environment: str = "",
    under: str = "",
) -> list[str]:
    """Return what pydantic found wrong with the settings of a model, a sentence a key; `under` stands before each."""
    found = []
    for each in problem.errors():
        where = under + ".".join(map(str, each["loc"]))
        found.append(with_line(lines, environment, where, line(where, said(each, model))))
    return found


def reason(where: str, problem: Exception) -> str:
    """Return what is wrong with an entry, with its place, on one line."""
    if isinstance(problem, ValidationError):
        first = problem.errors()[0]
        return line(".".join(map(str, (where, *first["loc"]))), said(first))
    return " ".join(line(where, str(problem)).split())


def line(where: str, what: str) -> str:
    """Return what is wrong, with its place unless it says so itself."""
    return what if what.startswith((f"{where}.", f"{where}:")) else f"{where}: {what}"


def said(problem: Any, model: type[BaseModel] | None = None) -> str:
    """Return an error of pydantic in the words of a user who wrote a file; `model` has the keys that there are."""
    if problem["type"] == "extra_forbidden":
        return f"unknown setting{nearest(str(problem['loc'][-1]), _known(model, problem['loc'][:-1]))}"
    words = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] in ("dict_type", "model_type", "model_attributes_type", "dataclass_type"):
        return f"expected `key: value` lines below it{_found(problem)}"
    if words.startswith("Input should be "):
        return f"expected {words.removeprefix('Input should be ')}{_found(problem)}"
    if problem["type"] == "missing":
        return "is missing"
    return words[:1].lower() + words[1:]


def _found(problem: Any) -> str:
    """Return what was found; of a text only what it is, for it may be a secret in the wrong place."""
    found = problem.get("input")
    if found is None or isinstance(found, bool | int | float):
        return f", found {'nothing' if found is None else str(found).lower()}"
    kinds: dict[type, str] = {dict: "`key: value` lines", list: "a list", str: "a text"}
    return f", found {kinds.get(type(found), f'a {type(found).__name__}')}"


def _known(model: type[BaseModel] | None, loc: tuple[Any, ...]) -> list[str]:
    """Return the keys of the group of settings at a place."""
    for step in loc:
        held = model.model_fields.get(str(step)) if model else None
        kinds = (held.annotation, *get_args(held.annotation)) if held else ()
        model = next((each for each in kinds if isinstance(each, type) and issubclass(each, BaseModel)), None)
    return list(model.model_fields) if model else []
