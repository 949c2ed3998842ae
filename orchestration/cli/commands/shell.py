"""The command that is a prompt: one question after another, with history and completion; it reads only."""

import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

import typer

from lake.query.session import one_sentence
from lake.storage.store import Store
from orchestration.cli.app import app, fail, known_errors, lake, say
from orchestration.cli.commands.query import MOST_ROWS, show
from orchestration.cli.commands.tables import describe, list_tables
from orchestration.steps.query import answered
from orchestration.steps.tables import column_paths, tables

_HELP = """\
a question      ends with ; and may take several lines: select * from silver.authentication limit 3;
.tables         the tables that have rows; .tables NAME its columns
.limit N        show at most N rows of an answer (0: all)
.help           this
.quit           leave, as Ctrl-D does; Ctrl-C ends a question
Tab             completes names of tables and columns, and words of SQL; the arrow keys go through what was asked"""
_WORDS = [
    "select",
    "from",
    "where",
    "and",
    "or",
    "not",
    "in",
    "is",
    "null",
    "like",
    "ilike",
    "between",
    "case",
    "when",
    "then",
    "else",
    "end",
    "as",
    "distinct",
    "on",
    "using",
    "join",
    "left",
    "group",
    "by",
    "all",
    "having",
    "order",
    "desc",
    "asc",
    "limit",
    "offset",
    "union",
    "except",
    "intersect",
    "with",
    "unnest",
    "count",
    "sum",
    "min",
    "max",
    "avg",
    "cast",
    "interval",
    "describe",
    "summarize",
    "explain",
]
_MOST_HISTORY = 2000
_TEXTS = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/", re.DOTALL)


@app.command()
def shell() -> None:
    """Ask the lake in SQL, one question after another: a prompt with history and completion. It only reads."""
    store, limit, code = lake(), MOST_ROWS, 0
    is_prompt = sys.stdin.isatty()
    with _line_editing() if is_prompt else nullcontext():
        for text in _asked():
            if text.rstrip(";") in (".quit", ".exit"):
                break
            try:
                limit = _answered(store, text, limit)
            except KeyboardInterrupt:
                say("interrupted")
            except RuntimeError as problem:
                if str(problem) != "Query interrupted":  # DuckDB's words for Ctrl-C
                    raise
                say("interrupted")
            except known_errors() as problem:
                code = fail(problem)
    if code and not is_prompt:
        raise typer.Exit(code)


def _answered(store: Store, text: str, limit: int) -> int:
    """Answer a question, or do what a line says that begins with a dot; return the limit of rows that holds then."""
    if text.startswith("."):
        return _dotted(store, text, limit)
    found = answered(store, text)
    with one_sentence():
        rows = found.rows(limit + 1 if limit else 0)
    show(found, rows, limit, ".limit 0 for all")
    return limit


def _dotted(store: Store, text: str, limit: int) -> int:
    word, *rest = text.rstrip(";").split()
    if word == ".tables":
        if rest:
            describe(store, rest[0], json=False)
        else:
            list_tables(tables(store), all=False, json=False)
    elif word == ".limit" and len(rest) == 1 and rest[0].isdigit():
        limit = int(rest[0])
    elif word == ".help":
        say(_HELP)
    else:
        say(f"{text}: no such word; .help says what there is")
    return limit


def _asked() -> Iterator[str]:
    """Yield questions, each until its `;`, and lines that begin with a dot; what is left at the end as well."""
    lines: list[str] = []
    while True:
        try:
            line = input("        -> " if lines else "headwater> ") if sys.stdin.isatty() else sys.stdin.readline()
        except KeyboardInterrupt:
            lines = []
            say("")
            continue
        except EOFError:
            say("")
            return
        if not line and not sys.stdin.isatty():
            break
        if not lines and line.startswith("."):
            yield line.strip()
            continue
        lines += [line.rstrip("\n")] if lines or line.strip() else []
        if is_whole(text := "\n".join(lines)):
            lines = []
            yield text
    if text := "\n".join(lines).strip():
        yield text


def is_whole(text: str) -> bool:
    """Whether a question has its `;`: not one in a text or a comment."""
    bare = _TEXTS.sub("", text)
    return bare.rstrip().endswith(";") and not any(each in bare for each in ("'", '"', "/*"))


@contextmanager
def _line_editing() -> Iterator[None]:
    """Let the prompt complete words, and remember what was asked from one session to the next."""
    try:
        import readline
    except ImportError:  # a Python without it: the prompt works all the same
        yield
        return
    words = sorted(
        {*_WORDS, *(name for name in column_paths()), *(part for each in column_paths().values() for part in each)}
    )
    file = _history()
    with suppress(OSError):
        readline.read_history_file(file)
    readline.set_history_length(_MOST_HISTORY)
    readline.set_completer_delims(" \t\n,;()=<>|+-*/'")
    readline.set_completer(lambda text, n: completions(text, readline.get_line_buffer(), words)[n])
    is_libedit = "libedit" in (readline.__doc__ or "")
    readline.parse_and_bind("bind ^I rl_complete" if is_libedit else "tab: complete")
    try:
        yield
    finally:
        with suppress(OSError):
            readline.write_history_file(file)
        readline.set_completer(None)


def completions(text: str, line: str, words: Sequence[str]) -> list[str | None]:
    """Return the words that begin with a text: names to the next dot, those of a table that the line names first."""
    found = [each for each in words if each.lower().startswith(text.lower())]
    steps = text.count(".") + 1
    mine = [each for table, paths in column_paths().items() if table in line for each in paths if each.startswith(text)]
    return [*dict.fromkeys(".".join(each.split(".")[:steps]) for each in [*mine, *found]), None]


def _history() -> Path:
    """Return the file of what was asked, in the user's folder for state; nobody else may read it."""
    folder = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "headwater"
    file = folder / "history"
    with suppress(OSError):  # without a place for it there is no history
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(file, os.O_CREAT | os.O_WRONLY, 0o600))
        file.chmod(0o600)
    return file
