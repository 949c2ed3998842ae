"""The application, what every command works on (settings, lake, contracts, times as people write them), and its words.

Words: tables for people, JSON for scripts, errors in one line, how far a long step is. All text of others is data.
"""

import io
import json
import logging
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from threading import Event, Thread
from typing import Annotated, Any, Protocol

import msgspec
import typer
from rich.console import Console, ConsoleDimensions
from rich.text import Text

from ingest.contracts import Contract, contract_of, source_names
from lake.base import plugins
from lake.base.errors import NEEDS_A_LOOK, REPAIR, WRONG_CALL, HeadwaterError
from lake.storage.publish import recover
from lake.storage.store import Store
from orchestration.cli import commands
from orchestration.settings import Settings, load_settings, open_lake

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
First = Annotated[str | None, typer.Option("--from", help="First event hour or day (UTC).")]
Last = Annotated[str | None, typer.Option("--to", help="Last event hour or day (UTC), included.")]
Sources = Annotated[list[str] | None, typer.Option("--source", help="Only these sources.")]

_PIPE_WIDTH = 160  # a table for a pipe or a file is not wrapped; a wider one is shown row by row
_FIRST_SECONDS, _EACH_SECONDS = 2, 10  # after which a step in a pipe says how far it is
INTERRUPTED = 130  # exit code of Ctrl-C, as of shells
_MOST_DAMAGED = 5  # files that an error names
_HOUR = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[T ]([01]\d|2[0-3])(?::[0-5]\d(?::[0-5]\d)?)?Z?)?\Z", re.ASCII)

app = typer.Typer(
    name="headwater",
    help="A security data lake that can be audited: every event accounted for, every hour rebuildable.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class Terminal(Console):
    """A console on which every string is data: values, names, errors of DuckDB and dbt.

    It takes no markup and no names of pictures from them, and shows characters that act on a terminal as their codes.
    """

    def __init__(self, *, stderr: bool = False, width: int | None = None) -> None:
        """`width`: for tests; otherwise the terminal's, or what COLUMNS says."""
        super().__init__(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)
        self._is_wide = width is None and not os.environ.get("COLUMNS", "").isdigit()

    @property
    def size(self) -> ConsoleDimensions:
        """Return the columns that a table may take: in a pipe nobody's screen is too narrow."""
        found = super().size
        is_open = self._is_wide and not self.is_terminal
        return ConsoleDimensions(_PIPE_WIDTH, found.height) if is_open else found

    @size.setter
    def size(self, new: tuple[int, int]) -> None:
        """Set the size, as rich lets one do."""
        self._is_wide = False
        self._width, self._height = new

    def render_str(self, text: str, *, style: Any = "", justify: Any = None, overflow: Any = None, **_: Any) -> Text:
        """Return a text as data."""
        if not text.replace("\n", "").isprintable():
            from lake.base.text import shown  # most text needs it not

            text = shown(text, lines=True)
        return Text(text, style, justify=justify, overflow=overflow)


out = Terminal()
err = Terminal(stderr=True)


class UsageError(HeadwaterError):
    """A call that cannot be meant so; the message says what was expected."""

    exit_code = WRONG_CALL


class NotFound(HeadwaterError):
    """Something asked for by name is not in the lake."""


def main() -> None:
    """Run the command line; errors that a user can do something about are one line on stderr."""
    load(*sys.argv[1:2])
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # what the terminal's encoding lacks is shown as its code
    warnings, handler = logging.getLogger("headwater"), _Warnings()
    warnings.addHandler(handler)
    warnings.propagate = False
    try:
        app()
    except SystemExit as ended:  # how commands end; without this line each would import what `known_errors` names
        if ended.code == INTERRUPTED:
            err.print("interrupted")
        if handler.omitted and not ended.code:
            sys.exit(NEEDS_A_LOOK)
        raise
    except RuntimeError as problem:
        if str(problem) != "Query interrupted":  # DuckDB's words for Ctrl-C
            raise
        err.print("interrupted")
        sys.exit(INTERRUPTED)
    except known_errors() as problem:
        sys.exit(fail(problem, damaged_files(problem)))
    except Exception as problem:
        if damage := damaged_files(problem):  # else it is a bug, and keeps its traceback
            sys.exit(fail(problem, damage))
        raise
    finally:
        warnings.removeHandler(handler)
        warnings.propagate = True


class _Warnings(logging.Handler):
    """What `lake.base.errors` is told that stops nothing, as plain lines on stderr; whether anything was left out."""

    omitted = False

    def emit(self, record: logging.LogRecord) -> None:
        """Print a warning."""
        self.omitted |= record.levelno >= logging.ERROR
        err.print(record.getMessage(), style="yellow", soft_wrap=True)


@app.callback()
def headwater() -> None:
    """Keep Typer in group mode when only one command is loaded."""


def load(command: str = "") -> None:
    """Let the file of a command register itself on `app`; all files when there is none of that name.

    A call reads the file of its own: `headwater balance` starts in half the time of all.
    """
    known = plugins.names(commands)
    for name in [command] if command in known else known:
        plugins.load(commands, name)


def settings() -> Settings:
    """Return the settings. Raises SettingsError."""
    return load_settings()


def lake() -> Store:
    """Return the lake's store, after finishing what a killed process left half published."""
    store = open_lake(settings())
    recover(store)
    return store


def contract(source: str) -> Contract:
    """Return a source's contract. Raises UsageError naming the sources there are, ContractError for a broken one."""
    if source not in (known := source_names()):
        raise UsageError(f"no source {source!r}; there are {', '.join(known)}")
    return contract_of(source)


def hour_range(first: str | None, last: str | None) -> tuple[str | None, str | None]:
    """Return the hour texts of `--from` and `--to`, both included; a day means all its hours. Raises UsageError."""
    since, until = (None if first is None else _hour(first, 0)), (None if last is None else _hour(last, 23))
    if since and until and since > until:
        raise UsageError(f"--from {first} is after --to {last}: no hour lies between them")
    return since, until


def _hour(text: str, of_day: int) -> str:
    found = _HOUR.match(text)
    if not found:
        raise UsageError(f"{text!r} is no day or hour (expected 2026-03-02 or 2026-03-02T05, UTC)")
    try:
        day = datetime.strptime(found[1], "%Y-%m-%d")
        return day.replace(hour=int(found[2]) if found[2] else of_day).strftime("%Y-%m-%dT%H")
    except ValueError as problem:
        raise UsageError(f"{text!r} is no day or hour: {problem}") from problem


def known_errors() -> tuple[type[Exception], ...]:
    """Return the errors that mean something to a user; others are bugs and keep their traceback."""
    import duckdb  # takes a tenth of a second, and commands that fail without it need not wait

    return (HeadwaterError, duckdb.Error, OSError)


def damaged_files(problem: Exception) -> list[str]:
    """Return what is damaged in the lake, where that may be why something failed: a sentence for each file.

    Most files are not opened: one that was changed and has its size is told by `headwater verify lake`.
    """
    from lake.upkeep.damage import damage_behind, may_be_damage

    if not may_be_damage(problem):
        return []
    try:
        return [f"{each.key} {each.found}" for each in damage_behind(open_lake(settings()), str(problem))]
    except (HeadwaterError, OSError):  # neither settings nor lake can be read: the problem itself says so
        return []


def fail(problem: Exception, damage: Sequence[str] = ()) -> int:
    """Print a problem and what to do about it, or the damage it comes from; return the exit code that belongs to it."""
    message = str(problem) or type(problem).__name__
    known = problem if isinstance(problem, HeadwaterError) else None
    if "--json" in sys.argv:
        print_json({"error": message, "kind": type(problem).__name__})
    err.print("error:", message, style="red", soft_wrap=True)
    for each in damage[:_MOST_DAMAGED]:
        err.print(f"damaged: {each}; {REPAIR}", style="red", soft_wrap=True)
    if known and known.advice:
        err.print(known.advice, soft_wrap=True)
    return known.exit_code if known else NEEDS_A_LOOK


def print_json(value: Any) -> None:
    """Print any plain value, dataclass or Struct as JSON; times are ISO, what JSON lacks becomes text."""
    text = json.dumps(msgspec.to_builtins(value, enc_hook=str), indent=2, ensure_ascii=False, default=str)
    from lake.base.text import shown_json

    print(shown_json(text))


def say(text: str, style: str | None = None) -> None:
    """Print one line as it is; it is never broken, so that it can be searched and copied."""
    out.print(text, style=style, soft_wrap=True)


def number(n: int, noun: str) -> str:
    """Return `1 hour`, `1,056 hours`."""
    return f"{n:,} {noun}" + ("" if n == 1 else "s")


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], gap: int = 2) -> None:
    """Print rows as a table: see `orchestration.cli.tables`."""
    from orchestration.cli import tables  # a call that prints none does without

    tables.print_table(out, title, columns, rows, gap)


def print_rows(names: Sequence[str], types: Sequence[Any], rows: Sequence[Sequence[Any]], whole: bool = False) -> None:
    """Print the rows of an answer: see `orchestration.cli.tables`."""
    from orchestration.cli import tables

    tables.print_rows(out, names, types, rows, whole)


class Tell(Protocol):
    """Says how far a step is: what it does, and where there are counts, how much of how many."""

    def __call__(self, doing: str, done: int | None = None, of: int | None = None) -> None:
        """Take what is done now, until the next call."""


@contextmanager
def progress(doing: str, hidden: bool = False) -> Iterator[Tell]:
    """Show on stderr how far a step is: one line that changes, or in a pipe a line after 2 s and then each 10 s."""
    at: list[Any] = [doing, None, None]
    begun, ended = time.monotonic(), Event()

    def said() -> str:
        text, done, of = at
        if done is not None:
            text += f": {done:,}" + (f" of {of:,}" if of is not None else "")
        return f"{text} … {time.monotonic() - begun:.0f} s"

    def tell(doing: str, done: int | None = None, of: int | None = None) -> None:
        at[:] = doing, done, of

    def lines() -> None:
        wait = _FIRST_SECONDS
        while not ended.wait(wait):
            err.print(said(), soft_wrap=True)
            wait = _EACH_SECONDS

    def turns() -> None:
        with err.status(err.render_str(said())) as status:
            while not ended.wait(0.2):
                status.update(err.render_str(said()))

    if hidden:
        yield tell
        return
    teller = Thread(target=turns if err.is_terminal else lines, daemon=True)
    teller.start()
    try:
        yield tell
    finally:
        ended.set()
        teller.join()


def filled(value: Any) -> Any:
    """Return a value without the attributes that are NULL."""
    if isinstance(value, dict):
        inner = {name: filled(each) for name, each in value.items()}
        return {name: each for name, each in inner.items() if each not in (None, {}, [])}
    return [filled(each) for each in value] if isinstance(value, list) else value
