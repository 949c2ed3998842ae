"""Rows on a terminal: tables that lose no column, and rows that are shown an attribute a line."""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lake.base.text import shown

_LEAST_TEXT, _WHOLE_WORD = 16, 40  # characters that a text column keeps on a narrow terminal, and those of its words
_MOST_RECORDS = 3  # rows of a command's table that are shown one below the other when they are too wide
_MOST_LINES = 4  # of one row of an answer


def print_table(
    console: Console, title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], gap: int = 2
) -> None:
    """Print rows as a table; numbers stand right and are never broken, wide texts wrap.

    A table that does not fit is split by columns, each part with the first column, whose words are kept whole if that
    fits; of few rows each is shown by itself.
    """
    held = [list(row) for row in rows]
    cells = [[Text(_counted(value)) for value in row] for row in held]
    right = [_is_numeric(row[at] for row in held) for at in range(len(columns))]
    if title:
        console.print(title, style="italic", soft_wrap=True)
    parts: list[Table] = []
    for split_names in (False, True):
        if made := _table(columns, cells, right, gap, console.width, split_names=split_names):
            console.print(made)
            return
        if len(held) > _MOST_RECORDS and (parts := _parts(columns, cells, right, gap, console.width, split_names)):
            break
    if not parts:
        heads = [name.replace("-\n", "").replace("\n", " ") for name in columns]
        for n, row in enumerate(cells):
            if n:
                console.print()
            _record(console, "", [(name, cell) for name, cell in zip(heads, row, strict=True) if cell.plain])
    for n, part in enumerate(parts):
        if n:
            console.print()
        console.print(part)


def print_rows(
    console: Console, names: Sequence[str], types: Sequence[Any], rows: Sequence[Sequence[Any]], whole: bool = False
) -> None:
    """Print the rows of an answer as a table where each fits into few lines, else row by row, an attribute a line.

    Numbers are as they are, times are UTC, NULL is told from text. `types`: DuckDB's. `whole`: texts keep their lines,
    for instance a plan.
    """
    if whole:
        for row in rows:
            console.print(*row, sep="\n", soft_wrap=True)
        return
    heads = [Text(shown(name)) for name in names]
    cells = [[_cell(value, type_) for value, type_ in zip(row, types, strict=True)] for row in rows]
    right = [_is_numeric(row[at] for row in rows) for at in range(len(names))]
    if made := _table([each.plain for each in heads], cells, right, 2, console.width, _MOST_LINES):
        console.print(made)
        return
    for n, row in enumerate(rows, 1):
        nothing = [name for name, value in zip(names, row, strict=True) if value is None]
        pairs = [
            pair
            for name, type_, value in zip(names, types, row, strict=True)
            if value is not None
            for pair in _leaves(shown(name), _opened(value, type_))
        ]
        _record(console, f"row {n}", pairs)
        if nothing:
            console.print(f"  NULL: {', '.join(map(shown, nothing))}", style="dim", soft_wrap=True)


def _is_numeric(values: Iterable[object]) -> bool:
    found = [value for value in values if value is not None]
    return bool(found) and all(_is_number(value) for value in found)


def _is_number(value: object) -> bool:
    return not isinstance(value, str | bytes | list | tuple | dict | datetime) and hasattr(value, "__float__")


def _table(
    columns: Sequence[str],
    cells: list[list[Text]],
    right: list[bool],
    gap: int,
    room: int,
    most_lines: int = 0,
    split_names: bool = True,
) -> Table | None:
    """Return a table that fits into some columns, or None. Without `most_lines` a row may take as many as it needs.

    `split_names`: words of the first column may be broken.
    """
    widest = [max((each.cell_len for row in cells for each in (row[at],)), default=0) for at in range(len(columns))]
    words = [max((cell_len(word) for word in name.split()), default=0) for name in columns]
    natural = [
        max(width, *(cell_len(line) for line in name.split("\n"))) for width, name in zip(widest, columns, strict=True)
    ]
    whole = [_longest_word(row[at].plain for row in cells) for at in range(len(columns))]
    rest = len(columns) - 1
    tries = ([_WHOLE_WORD] * (rest + 1), [_WHOLE_WORD] + [_LEAST_TEXT] * rest, [_LEAST_TEXT] * (rest + 1))
    for most in tries if split_names else tries[:2]:
        # Words are broken only where the table does not fit otherwise, those of the first column last.
        longest = [max(_LEAST_TEXT, min(word, at_most)) for word, at_most in zip(whole, most, strict=True)]
        kept = list(map(min, widest, longest))
        of_values = [width if is_right else text for is_right, width, text in zip(right, widest, kept, strict=True)]
        least = list(map(max, words, of_values))
        widths, left = _shrunk(natural, least, room - gap * (len(columns) - 1))
        if not left:
            break
    else:
        return None
    if most_lines and any(math.ceil(w / width) > most_lines for w, width in zip(widest, widths, strict=True) if width):
        return None
    table = Table(header_style="bold", box=None, pad_edge=False, padding=(0, gap, 0, 0))
    for name, width, is_right in zip(columns, widths, right, strict=True):
        table.add_column(name, justify="right" if is_right else "left", overflow="fold", width=max(width, 1))
    for row in cells:
        table.add_row(*row)
    return table


def _longest_word(texts: Iterable[str]) -> int:
    return max((cell_len(word) for text in texts for word in text.split()), default=0)


def _shrunk(natural: Sequence[int], least: Sequence[int], room: int) -> tuple[list[int], bool]:
    """Return widths that fit into `room`, the widest columns made narrower first; and whether they do not fit."""
    widths = [min(width, max(room, low)) for width, low in zip(natural, least, strict=True)]
    while sum(widths) > room:
        at = max(range(len(widths)), key=lambda n: widths[n] if widths[n] > least[n] else -1)
        if widths[at] <= least[at]:
            return widths, True
        widths[at] -= 1
    return widths, False


def _parts(
    columns: Sequence[str], cells: list[list[Text]], right: list[bool], gap: int, room: int, split_names: bool
) -> list[Table]:
    """Return tables that hold all columns, each beginning with the first; none when two of them do not fit."""
    made: list[Table] = []
    begin = 1
    while begin < len(columns):
        table = None
        for end in range(begin + 1, len(columns) + 1):
            some = [0, *range(begin, end)]
            wider = _table(
                [columns[at] for at in some], [[row[at] for at in some] for row in cells],
                [right[at] for at in some], gap, room, split_names=split_names,
            )  # fmt: skip
            if wider is None:
                break
            table, reached = wider, end
        if table is None:
            return []
        made.append(table)
        begin = reached
    return made


def _record(console: Console, title: str, pairs: Sequence[tuple[str, Text]]) -> None:
    """Print a row as one attribute a line; a long value is left whole."""
    if title:
        console.print(title, style="bold", soft_wrap=True)
    wide = min(max((cell_len(name) for name, _ in pairs), default=0), 40)
    for name, value in pairs:
        blanks = " " * (max(wide - cell_len(name), 0) + 1)
        console.print(Text.assemble("  ", (name, "cyan"), ":", blanks, value), soft_wrap=True)


def _counted(value: object) -> str:
    """Return a cell of a command's table, whose numbers count something."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "NO"
    return f"{value:,}" if isinstance(value, int) else shown(str(value))


def _cell(value: Any, type_: Any) -> Text:
    """Return a value of an answer; NULL is dim, and a text that looks like it, or like nothing, is quoted."""
    if value is None:
        return Text("NULL", "dim")
    return Text(shown(_said(_opened(value, type_))))


def _opened(value: Any, type_: Any) -> Any:
    """Return a value; JSON texts in it that are objects or lists, at any depth, as what they say."""
    if value is None or "JSON" not in (name := str(type_)):
        return value
    if name != "JSON":
        if type_.id == "struct":
            return {field: _opened(value.get(field), inner) for field, inner in type_.children}
        if type_.id in ("list", "array"):
            return [_opened(each, type_.children[0][1]) for each in value]
        if type_.id == "map":
            return {key: _opened(each, dict(type_.children)["value"]) for key, each in value.items()}
        return value
    if not isinstance(value, str) or value[:1] not in "{[":
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _said(value: Any, inside: bool = False) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"'{value}'" if value in ("", "NULL") else value
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value}Z"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_said(each)}" for key, each in value.items() if each is not None) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_said(each) for each in value) + "]"
    return f"\\x{value.hex()}" if isinstance(value, bytes) else str(value)


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Text]]:
    """Yield `a.b` or `a[1].b`, as SQL says it, with what stands there; of objects only what is not NULL."""
    if isinstance(value, dict) and any(each is not None for each in value.values()):
        for name, each in value.items():
            if each is not None:
                yield from _leaves(f"{path}.{shown(str(name))}", each)
    elif isinstance(value, list) and any(isinstance(each, dict) for each in value):
        for n, each in enumerate(value, 1):
            yield from _leaves(f"{path}[{n}]", each)
    else:
        yield path, Text(shown(_said(value)))
