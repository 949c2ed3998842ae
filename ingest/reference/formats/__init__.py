"""Formats of reference feeds: one file each, found by its name. A new format edits nothing else."""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol, cast

from pydantic import BaseModel, ConfigDict, ValidationError

from ingest.reference.tables import Entry, Reject
from lake.base import plugins
from lake.base.errors import HeadwaterError

Mode = Literal["full", "partial"]


class FormatError(HeadwaterError, ValueError):
    """A feed cannot be read as this format at all, or its options are wrong; one line that says what to do."""


class FormatOptions(BaseModel):
    """What the settings of a feed say to its format. Names that end in `_env` name environment variables."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


@dataclass(frozen=True)
class Source:
    """What is to be read, and for which table.

    `path`: a local file (plain, gzip or zip), None for a format that asks an API. `since`: naive UTC, from when on a
    partial format need only give what is new; None: everything. `name`: what messages and rejects call the source.
    Filled while reading: `skipped`, why pieces of it are neither an entry nor a reject → how many; `told`, what the
    feed says of itself (`version`, `made_at` in ISO 8601).
    Every piece of a feed (line, row, object) gives at least one Entry or Reject, or is counted in `skipped`.
    """

    table: str
    path: Path | None = None
    since: datetime | None = None
    skipped: Counter[str] = field(default_factory=Counter)
    told: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What messages call it."""
        return str(self.path) if self.path is not None else "the API"


class Reader(Protocol):
    """What a format's module has.

    `Options`: its settings. `TABLES`: the tables it can feed. `MODE`: whether what it reads is normally everything
    that holds (`full`: what is missing has ended) or only what was added or changed (`partial`). `READS`: `file`
    (`Source.path` is needed) or `api`.
    """

    Options: type[FormatOptions]
    TABLES: tuple[str, ...]
    MODE: Mode
    READS: Literal["file", "api"]

    def read(self, source: Source, options: Any) -> Iterator[Entry | Reject]:
        """Yield what the source holds, in its own order; the same `entry` may come again, the later one counts.

        What the provider has withdrawn (revoked, deleted) comes with `valid_to`, so that a partial feed can end it.

        Raises:
            FormatError: the source is not of this format, at the first step or where that shows.
            FetchError: (formats that ask an API) the answers did not come whole; nothing of it may be loaded.
        """
        ...


def formats() -> list[str]:
    """Return the names of all formats."""
    return plugins.names(sys.modules[__name__])


def reader_of(format: str) -> Reader:
    """Return the module of a format. Raises FormatError when there is none of that name."""
    if format not in formats():
        raise FormatError(f"{format!r} is no format (known: {', '.join(formats())})")
    return cast(Reader, plugins.load(sys.modules[__name__], format, ("Options", "TABLES", "MODE", "READS", "read")))


def checked_options(format: str, table: str, given: Mapping[str, object]) -> FormatOptions:
    """Return a format's own options, checked. Raises FormatError that names what is wrong."""
    reader = reader_of(format)
    if table not in reader.TABLES:
        raise FormatError(f"format {format} cannot feed {table!r} (it feeds {', '.join(reader.TABLES)})")
    try:
        return reader.Options.model_validate(dict(given))
    except ValidationError as problem:
        found = problem.errors(include_url=False, include_input=False)
        raise FormatError("; ".join(_plainly(each, reader.Options) for each in found)) from None


def _plainly(problem: Any, options: type[FormatOptions]) -> str:
    where = ".".join(str(step) for step in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"{where}: unknown setting (known: {', '.join(sorted(options.model_fields)) or 'none'})"
    words = str(problem["msg"]).removeprefix("Value error, ")
    return f"{where}: {words}" if where else words
