"""The seeds as a run reads them: a row that cannot be used is left out and named, and the rows around it count.

A row stands on one line and has a value for each column. Routes (`ocsf_routing`) must lead somewhere: an event that a
bad route would send nowhere goes where it goes without it, at last to Base Event, and so is published.
"""

import csv
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Final

from lake.base.errors import warn_once
from lake.base.sql import literal, quoted

ROUTES: Final = "ocsf_routing"
_MOST_NAMED = 3
_BITS: Final = {"tinyint": 8, "smallint": 16, "int": 32, "integer": 32, "bigint": 64}
_NUMBERS: Final = {"float", "real", "double", "decimal", "numeric"}
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\Z")


@dataclass(frozen=True)
class Seed:
    """The rows of a seed that can be used, by their line, and what is wrong with the others.

    `types` are those of columns that are no text, as dbt's `column_types` give them.
    """

    file: Path
    types: Mapping[str, str]
    columns: tuple[str, ...]
    rows: Mapping[int, Mapping[str, str]]
    problems: Mapping[int, str]

    def without(self, problems: Mapping[int, str]) -> "Seed":
        """Return the seed without some lines, for a reason each."""
        left = {line: row for line, row in self.rows.items() if line not in problems}
        return replace(self, rows=left, problems=dict(sorted({**self.problems, **problems}.items())))

    def select(self, folder: Path) -> str:
        """Return a SELECT over the rows that can be used; where some cannot, over a copy without them, in a folder."""
        file = self.file
        if self.problems:
            warn_once(self.sentence)
            file = folder / self.file.name
            with file.open("w", newline="") as out:
                writer = csv.DictWriter(out, self.columns, lineterminator="\n")
                writer.writeheader()
                writer.writerows(self.rows.values())
        typed = ", ".join(f"try_cast({quoted(each)} as {kind}) as {quoted(each)}" for each, kind in self.types.items())
        # buffers of 32 MiB if nothing is said
        options = "header = true, all_varchar = true, delim = ',', quote = '\"', escape = '\"', buffer_size = 4194304"
        return f"select *{f' replace ({typed})' if typed else ''} from read_csv({literal(str(file))}, {options})"

    @property
    def sentence(self) -> str:
        """Return what is wrong with it in one sentence."""
        first = [f"line {line} {why}" for line, why in self.problems.items()][:_MOST_NAMED]
        left = len(self.problems) - len(first)
        more = f"; and {left} more rows (`headwater check` names them)" if left else ""
        return f"{self.file}: {'; '.join(first)}{more}; they are left out until that is corrected"


def read_seed(file: Path, types: Mapping[str, str] | None = None) -> Seed:
    """Return the rows of a CSV file."""
    types = types or {}
    try:
        lines = file.read_bytes().decode("utf-8-sig", errors="replace").splitlines()
    except OSError as problem:
        return Seed(file, types, tuple(types), {}, {1: f"cannot be read: {problem.strerror}"})
    header, wrong = _values(lines[0]) if lines else ([], "is empty: expected the names of the columns")
    if wrong or len(set(header)) < len(header) or not all(header):
        wrong = wrong or "expected the names of the columns, each once"
        return Seed(
            file, types, tuple(types), {}, {1: wrong} | {at: "has no columns" for at in range(2, len(lines) + 1)}
        )
    rows: dict[int, Mapping[str, str]] = {}
    lacking = [name for name in types if name not in header]
    problems = {1: f"lacks the column {', '.join(lacking)}"} if lacking else {}
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        values, wrong = _values(line)
        if not wrong and len(values) != len(header):
            wrong = f"has {len(values)} values, expected {len(header)} ({', '.join(header)})"
        row = dict(zip(header, values, strict=False))
        wrong = wrong or next(_mistyped(row, types), "")
        if wrong:
            problems[number] = wrong
        else:
            rows[number] = row
    return Seed(file, types, (*header, *lacking), rows, problems)


def bad_routes(seed: Seed, sources: Collection[str], classes: Mapping[int, str], models: Collection[str]) -> Seed:
    """Return the routes without those that lead nowhere, or are there twice: the first one counts.

    `classes` are the declared OCSF classes by uid, `models` the names of all models.
    """
    problems: dict[int, str] = {}
    seen: dict[tuple[str, str], int] = {}
    for line, row in seed.rows.items():
        route = row.get("source", ""), row.get("event_type", "")
        if wrong := _wrong_route(row, sources, classes, models):
            problems[line] = wrong
        elif (first := seen.setdefault(route, line)) != line:
            problems[line] = f"{route[1]} of {route[0]} has a route already, in line {first}"
    return seed.without(problems)


def _wrong_route(
    row: Mapping[str, str], sources: Collection[str], classes: Mapping[int, str], models: Collection[str]
) -> str:
    source, kind, uid = row.get("source", ""), row.get("event_type", ""), row.get("class_uid", "")
    if source not in sources:
        meant = get_close_matches(source, sources, 1)
        return f"there is no source {source!r}" + (f"; is {meant[0]} meant?" if meant else "")
    if not kind or "*" in kind[:-1]:
        return f"event_type {kind!r}: expected a name, which may end in *"
    if not uid or int(uid) not in classes:
        return f"class_uid {uid!r} is no class of ocsf/attributes.yml"
    table = classes[int(uid)]
    if f"{table}__{source}" not in models:
        return f"class_uid {uid}: {source} has no model {table}__{source} that would publish it"
    return ""


def _values(line: str) -> tuple[list[str], str]:
    if "\ufffd" in line:
        return [], "is not UTF-8"
    try:
        return next(csv.reader([line], strict=True), []), ""
    except csv.Error as problem:
        return [], f"is no row of CSV: {problem}"


def _mistyped(row: Mapping[str, str], types: Mapping[str, str]) -> Iterator[str]:
    for name, kind in types.items():
        value = row.get(name, "")
        if value and (words := _expected(value, kind.lower())):
            yield f"{name} {value!r} is not {words}"


@lru_cache(maxsize=4096)
def _expected(value: str, kind: str) -> str:
    """Return what a value of a type must be, or "" when it is."""
    if bits := _BITS.get(kind):
        fits = re.fullmatch(r"-?\d{1,19}", value) and -(2 ** (bits - 1)) <= int(value) < 2 ** (bits - 1)
        return "" if fits else "a whole number"
    if kind in _NUMBERS:
        return "" if _NUMBER.match(value) else "a number"
    if kind in ("boolean", "bool"):
        return "" if value.lower() in ("true", "false") else "true or false"
    return ""
