"""What a build does at once within the setting `memory`, so that it need not try again with less.

DuckDB spills rows, but not the vectors that it works on. A thread that writes holds one of 2,048 values for each leaf
of a row and each file that it has open, whatever the rows; one that computes a wide row, such as a Windows event, holds
some for its expressions. So the need follows from what is asked, before anything is tried.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
from duckdb.sqltypes import DuckDBPyType

from lake.base.sql import literal
from lake.ocsf.columns import children

HOURS_AT_ONCE = 24  # at most: who opens 168 files at once waits for the disk
_VECTOR = 32 << 10  # bytes: 2,048 texts
_EXPRESSIONS = 256 << 20  # bytes of a thread: measured 240 MiB, for 34,000 Windows events
_THREAD = 768 << 20  # bytes of the setting that a thread asks for
_PYTHON, _MORE_PYTHON = 256 << 20, 480 << 20  # dbt's 250 MiB; beyond its limit DuckDB takes the more the more it has
_LEAST_PYTHON = 192 << 20  # of a model alone: the vectors that its SQL asks for are counted, and never filled
_SMALLEST = 128 << 20
_ROW = 4 << 10  # bytes of a row of silver in a table of DuckDB
_GROUP, _SMALL_GROUP, _SMALL_DICTIONARY = 61440, 8192, 1000  # rows, rows, values


@dataclass(frozen=True)
class BuildMemory:
    """`memory`: bytes of the process. `threads`: as many as there may be. `is_least`: as little at once as can be."""

    memory: int
    threads: int = 2
    is_least: bool = False

    @property
    def of_duckdb(self) -> int:
        """Bytes that DuckDB may take."""
        most = max(self.memory - _MORE_PYTHON, self.memory * 3 // 4)
        return max(min(most, self.memory - (_LEAST_PYTHON if self.is_least else _PYTHON)), _SMALLEST)

    @property
    def threads_of_duckdb(self) -> int:
        """How many threads work at a time."""
        return 1 if self.is_least else min(self.threads, max(1, self.memory // _THREAD))

    @property
    def models(self) -> int:
        """How many models are made side by side."""
        return 1 if self.is_least or self.memory < 2 * _THREAD else 2

    def hours_at_once(self, leaves: int) -> int:
        """Return how many hours of rows with so many leaves are written at once: two thirds of a model's share."""
        share = self.of_duckdb // self.models * 2 // 3
        return max(1, min(HOURS_AT_ONCE, share // (self.threads_of_duckdb * leaves * _VECTOR)))

    def is_enough_for(self, leaves: int, files: int) -> bool:
        """Whether wide rows can be computed and written to so many files at once, by one model."""
        return (
            not self.is_least and self.threads_of_duckdb * (files * leaves * _VECTOR + _EXPRESSIONS) <= self.of_duckdb
        )

    @property
    def rows_held(self) -> int:
        """How many rows of a model may be held until they are published: an eighth of its share."""
        return 0 if self.is_least else self.of_duckdb // self.models // 8 // _ROW

    @property
    def is_little(self) -> bool:
        """Whether what is remembered of one model is to be given back before the next."""
        return self.models == 1

    @property
    def parquet(self) -> str:
        """Return the options of Parquet that say how much of a table is held until it is written."""
        if self.threads_of_duckdb > 1:
            return f"row_group_size {_GROUP}"
        return f"row_group_size {_SMALL_GROUP}, dictionary_size_limit {_SMALL_DICTIONARY}"


def leaves_of(columns: Sequence[Sequence[str]]) -> int:
    """Return how many vectors a chunk of rows has, of (column, type)."""
    return sum(_leaves(duckdb.sqltype(type_)) for _, type_ in columns)


def _leaves(type_: DuckDBPyType) -> int:
    inside = children(type_) if type_.id in ("struct", "list") else []
    return 1 + sum(_leaves(inner) for _, inner in inside)


def in_parts(hours: Sequence[str], at_once: int) -> list[str]:
    """Return conditions on `date` and `hour` for so many event hours at once; none where all are written at once."""
    if len(hours) <= at_once:
        return []
    parts = [sorted(hours)[at : at + at_once] for at in range(0, len(hours), at_once)]
    return [f"date || 'T' || hour in ({', '.join(map(literal, part))})" for part in parts]
