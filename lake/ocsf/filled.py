"""Which attributes a mapping fills: the rest is NULL in all its rows, and nothing need be computed over it.

What belongs here: attribute paths from the types of a mapping's columns. What does not: what is computed over them.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import duckdb
from duckdb.sqltypes import DuckDBPyType


@dataclass(frozen=True)
class Filled:
    """`path in filled`: whether an attribute (`actor.user.name`, lists without `[]`) may have a value.

    `paths` are those of the mapping; everything below an entry of `whole` may have a value as well.
    """

    paths: frozenset[str] = frozenset()
    whole: tuple[str, ...] = ()

    def __contains__(self, path: str) -> bool:
        return path in self.paths or any(path == each or path.startswith(f"{each}.") for each in self.whole)


class _Everything(Filled):
    def __contains__(self, path: str) -> bool:
        return True


EVERYTHING = _Everything()


def filled_by(given: Mapping[str, str], whole: Iterable[str] = ()) -> Filled:
    """Return what columns of these DuckDB types may fill; `whole` is filled by others, all of it."""
    paths = (path for name, type_ in given.items() for path in _paths(name, duckdb.sqltype(type_)))
    return Filled(frozenset(paths), tuple(whole))


def children(type_: DuckDBPyType) -> list[tuple[str, DuckDBPyType]]:
    """Return the fields of a struct, or the one element type of a list."""
    return [(name, inner) for name, inner in type_.children if isinstance(inner, DuckDBPyType)]


def _paths(path: str, type_: DuckDBPyType) -> Iterator[str]:
    if type_.id == "null":
        return
    if type_.id == "list":
        yield from _paths(path, children(type_)[0][1])
        return
    yield path
    if type_.id == "struct":
        for name, inner in children(type_):
            yield from _paths(f"{path}.{name}", inner)
