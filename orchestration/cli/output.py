"""How commands speak: tables for people, JSON for scripts, errors in one line.

What belongs here: printing. What does not: knowing anything about the lake.
"""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from rich.console import Console, JustifyMethod
from rich.markup import escape
from rich.table import Table

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)
_LEAST_TEXT = 16  # characters that a text column keeps on a narrow terminal


def known_errors() -> tuple[type[Exception], ...]:
    """Return the errors that mean something to a user; others are bugs and keep their traceback."""
    import duckdb

    from ingest.contracts import ContractError
    from ingest.landing import LandingError
    from ingest.lookups.kinds import BadLookup
    from ingest.reference.feeds import FeedError
    from ingest.reference.formats import FormatError
    from ingest.reference.geoip.records import GeoIpError
    from ingest.sources.aws_cloudtrail.digest_keys import PublicKeyError
    from ingest.transports.fetch_errors import FetchError
    from lake.export.errors import BadDeclaration, ExportError
    from lake.ledger import BrokenReceipt
    from lake.query.condition import BadCondition
    from lake.signals.truth import BadTruth
    from lake.signals.verdict_files import BadDispositions
    from lake.storage.paths import BadName
    from lake.storage.store import UnsupportedStore
    from lake.upkeep.erasure_rewrite import NotErased
    from orchestration.dbt.run import BuildFailed
    from orchestration.settings import SettingsError
    from orchestration.steps.collect import SourceNotConfigured
    from orchestration.steps.products import BadProduct

    return (
        ContractError,
        LandingError,
        BuildFailed,
        FetchError,
        BadLookup,
        GeoIpError,
        FeedError,
        FormatError,
        PublicKeyError,
        SourceNotConfigured,
        BadDispositions,
        BadName,
        BadTruth,
        BadCondition,
        BadProduct,
        BadDeclaration,
        ExportError,
        NotErased,
        BrokenReceipt,
        UnsupportedStore,
        SettingsError,
        UsageError,
        NotFound,
        duckdb.Error,
        OSError,
    )


class UsageError(ValueError):
    """A call that cannot be meant so; the message says what was expected."""


class NotFound(LookupError):
    """Something asked for by name is not in the lake."""


def fail(problem: Exception) -> int:
    """Print a problem and return the exit code that belongs to it."""
    from ingest.lookups.kinds import BadLookup
    from lake.export.errors import BadDeclaration
    from lake.query.condition import BadCondition
    from lake.signals.truth import BadTruth
    from lake.signals.verdict_files import BadDispositions
    from lake.storage.store import UnsupportedStore
    from orchestration.settings import SettingsError
    from orchestration.steps.collect import SourceNotConfigured

    message = str(problem) or type(problem).__name__
    if "--json" in sys.argv:
        print(json.dumps({"error": message, "kind": type(problem).__name__}))
    err.print("error:", message, style="red", markup=False, soft_wrap=True)
    wrong = (UsageError, SettingsError, SourceNotConfigured, UnsupportedStore, BadCondition, BadDeclaration, BadLookup)
    given = (BadDispositions, BadTruth)
    return 2 if isinstance(problem, (*wrong, *given)) else 1


def print_json(value: Any) -> None:
    """Print any plain value, dataclass or Struct as JSON; times are ISO, what JSON lacks becomes text."""
    print(json.dumps(msgspec.to_builtins(value, enc_hook=str), indent=2, ensure_ascii=False, default=str))


def say(text: str, style: str | None = None) -> None:
    """Print one line as it is; it is never broken, so that it can be searched and copied."""
    out.print(text, style=style, markup=False, soft_wrap=True)


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], gap: int = 2) -> None:
    """Print rows as a table; numbers stand right and are never broken, wide texts wrap."""
    rows = [list(row) for row in rows]
    table = Table(title=title or None, title_justify="left", header_style="bold", box=None, pad_edge=False)
    table.padding = (0, gap, 0, 0)
    least = 0
    for at, column in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[at], int | float) for row in rows)
        width = max(len(line) for line in (*column.split("\n"), *(_cell(row[at]) for row in rows)))
        least += (width if numeric else min(width, _LEAST_TEXT)) + gap
        justify: JustifyMethod = "right" if numeric else "left"
        table.add_column(
            column,
            justify=justify,
            overflow="fold",
            no_wrap=numeric,
            min_width=width if numeric else min(width, _LEAST_TEXT),
        )
    for row in rows:
        table.add_row(*[_cell(value) for value in row])
    out.print(table, width=max(out.width, least), crop=False)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "NO"
    if isinstance(value, int):
        return f"{value:,}"
    return escape(str(value))
