"""The command that answers SQL questions."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from lake.base.text import shown
from lake.query.formats import FORMATS, TEXTS, text_lines, write_parquet
from lake.query.session import Answer, one_sentence
from orchestration.cli.app import Json, UsageError, app, err, lake, number, print_rows, progress, say, settings
from orchestration.steps.query import answered

MOST_ROWS = 100  # of a table
_CHUNK = 1000


@app.command()
def query(
    sql: Annotated[str, typer.Argument(help="One SELECT over bronze, silver, gold, quarantine, ledger, reference.")],
    format: Annotated[
        str | None, typer.Option(help=f"{', '.join(FORMATS)}; default: a table, or as FILE ends.", show_default=False)
    ] = None,
    limit: Annotated[
        int | None, typer.Option(help=f"At most so many rows, 0 for all; default: {MOST_ROWS} of a table.", min=0)
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Write the rows to this file.", metavar="FILE")] = None,
    json: Json = False,
) -> None:
    """Ask the lake in SQL (DuckDB). `headwater tables` lists what there is; `headwater shell` is a prompt."""
    form = _form(format, output, json)
    most = limit if limit is not None else MOST_ROWS if form == "table" else 0
    with progress("asking", hidden=not err.is_terminal):
        found = answered(lake(), sql)
        rows = found.rows(_CHUNK if not most else min(most + 1, _CHUNK)) if form != "parquet" else []
    if output is not None:
        _write(found, rows, form, most, output)
    elif form == "table":
        show(found, rows, most)
    else:
        _print(found, rows, form, most)


def show(found: Answer, rows: list[tuple[Any, ...]], most: int, all_of_it: str = "--limit 0 for all") -> None:
    """Print the first rows of an answer, and how many there are. `rows`: the first that it gave."""
    with one_sentence():
        while not most or len(rows) <= most:
            more = found.rows(_CHUNK)
            rows += more
            if not more:
                break
    some = rows[:most] if most else rows
    print_rows(found.names, found.types, some, found.is_plan)
    if not found.is_plan and not rows:
        say("no rows")
    if len(rows) > len(some):
        with progress("counting the rows", hidden=not err.is_terminal):
            of = found.count()
        err.print(f"first {_of(len(some), of)}; {all_of_it}", style="yellow", soft_wrap=True)


def _of(n: int, of: int | None) -> str:
    return f"{n:,} of {number(of, 'row')}" if of is not None else f"{number(n, 'row')} of more"


def _form(format: str | None, output: Path | None, json: bool) -> str:
    """Return the format. Raises UsageError for one that there is not, or that needs a file."""
    if json and format not in (None, "json"):
        raise UsageError(f"--json is --format json, not {format}")
    form = "json" if json else format
    if form is None and output is not None:
        form = output.suffix.lstrip(".").lower()
        if form not in (*TEXTS, "parquet"):
            raise UsageError(f"{output}: add --format ({', '.join((*TEXTS, 'parquet'))}), or end its name with one")
    form = form or "table"
    if form not in FORMATS:
        raise UsageError(f"--format {form!r}: expected {', '.join(FORMATS)}")
    if form == "parquet" and output is None:
        raise UsageError("--format parquet needs --output FILE")
    if form == "table" and output is not None:
        raise UsageError(f"--output needs a format for files: {', '.join((*TEXTS, 'parquet'))}")
    return form


class _Rows:
    """The rows of an answer, at most `most` (0: all): how many were `given`, and whether there are more (`cut`)."""

    def __init__(self, found: Answer, first: list[tuple[Any, ...]], most: int, told: Callable[[int], None]) -> None:
        self._found, self._next, self._most, self._told = found, first, most, told
        self.given, self.cut = 0, False

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        while self._next:
            for row in self._next:
                if self._most and self.given == self._most:
                    self.cut = True
                    return
                self.given += 1
                yield row
            self._told(self.given)
            with one_sentence():
                self._next = self._found.rows(_CHUNK)

    def lines(self, form: str) -> Iterator[str]:
        """Yield them as text."""
        return text_lines(form, self._found.names, self._found.types, self, settings().csv_escape_formulas)


def _print(found: Answer, first: list[tuple[Any, ...]], form: str, most: int) -> None:
    """Print rows for a program: values are exact; on a terminal CSV shows what would act on it."""
    rows = _Rows(found, first, most, lambda _: None)
    for line in rows.lines(form):
        sys.stdout.write(shown(line, lines=True) if form == "csv" and sys.stdout.isatty() else line)
    _tell_cut(found, rows)


def _write(found: Answer, first: list[tuple[Any, ...]], form: str, most: int, output: Path) -> None:
    """Write rows to a file, which is there when it is whole."""
    part = output.with_name(f".{output.name}.part")
    try:
        with progress(doing := f"writing {output.name}: rows") as tell:
            rows = _Rows(found, first, most, lambda given: tell(doing, given))
            if form == "parquet":
                with one_sentence():
                    rows.given = write_parquet(found.cursor, part, most, lambda given: tell(doing, given))
            else:
                with part.open("w", encoding="utf-8", newline="") as to:
                    to.writelines(rows.lines(form))
        part.replace(output)
    finally:
        part.unlink(missing_ok=True)
    err.print(f"{number(rows.given, 'row')} written to {output}", soft_wrap=True)
    _tell_cut(found, rows)


def _tell_cut(found: Answer, rows: _Rows) -> None:
    if rows.cut:
        err.print(f"first {_of(rows.given, found.count())}; --limit 0 for all", style="yellow", soft_wrap=True)
