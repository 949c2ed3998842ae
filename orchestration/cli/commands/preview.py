"""The command that tries an edited model: what it makes of one event hour, and what differs from what is published."""

import json as encoding
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from orchestration.cli.app import (
    Json,
    UsageError,
    app,
    filled,
    hour_range,
    number,
    print_json,
    print_table,
    progress,
    say,
)
from orchestration.dbt import warm

_WIDE = 60  # characters of a value in a table
_OF_A_ROW = ("time_dt", "activity_name", "status", "severity", "message")  # what tells a row that is on one side only


@app.command()
def preview(
    model: Annotated[str, typer.Argument(help="A mapping, a class (with --source), a view, or a mart.")],
    hour: Annotated[
        str | None, typer.Option(help="Event hour (UTC), such as 2026-03-02T05; default: the newest.")
    ] = None,
    source: Annotated[str | None, typer.Option(help="The source, when MODEL is a class.")] = None,
    rows: Annotated[int, typer.Option(min=0, help="Print this many of the rows that were made.")] = 0,
    json: Json = False,
) -> None:
    """Build one model over one hour without publishing it: rows, broken rules, and what differs."""
    wanted = hour_range(hour, None)[0] if hour and len(hour) > len("2026-03-02") else ""
    if hour and not wanted:
        raise UsageError(f"{hour!r} is no hour (expected 2026-03-02T05, UTC)")
    with progress("building", hidden=json) as tell:
        found = warm.call("preview", tell, name=model, hour=wanted, source=source or "", rows=rows)
    if json:
        print_json(found)
    else:
        _tell(found)
    if found["broken"]:
        raise typer.Exit(1)


def _tell(found: Mapping[str, Any]) -> None:
    differs, made = found["difference"], found["made"]
    head = f"{found['model']} {found['hour']}".strip() + f": {number(made, 'row')}"
    if differs is None:
        say(f"{head} (a view: nothing of it is published)")
    elif not found["published"]:
        say(f"{head}; nothing is published of this hour")
    else:
        say(f"{head}; published {differs['before']:,}; {_counts(differs)}")
    for each in found["broken"]:
        one = f", one of them {each['sample']}" if each["sample"] else ""
        found_by_it = number(each["found"], "row") if isinstance(each["found"], int) else _short(each["found"])
        say(f"broken rule {each['rule']}: {found_by_it}{one}", style="red")
    if differs and differs["columns"]:
        print_table("", ("column", "rows that differ", "where"), map(_column, differs["columns"]))
    for each in differs["examples"] if differs and found["published"] else ():
        _tell_example(each)
    for n, row in enumerate(found["rows"], 1):
        print_table(
            f"row {n}", ("column", "value"), ((name, _short(value, 200)) for name, value in filled(row).items())
        )


def _counts(differs: Mapping[str, Any]) -> str:
    told = [f"{differs[what]:,} {what}" for what in ("added", "removed", "changed") if differs[what]]
    return ", ".join(told) or "no row differs"


def _column(each: Mapping[str, Any]) -> tuple[str, int, str]:
    inside = len(each["name"]) + 1
    return each["name"], each["values"], ", ".join(f"{path[inside:]} ({n:,})" for path, n in each["paths"].items())


def _tell_example(each: Mapping[str, Any]) -> None:
    """Print a changed row as path, published value and new value; of another row what tells it from the rest."""
    key, values, what = " ".join(map(str, each["key"].values())), each["values"], each["what"]
    if what != "changed":
        told = [name for name in _OF_A_ROW if name in values] or [*values][:5]
        say(" ".join((f"{what:8}{key}", *(_short(values[name][what == "added"]) for name in told))))
        return
    say(f"{what:8}{key}")
    wide = max(map(len, values))
    for path, (old, new) in values.items():
        left, right = _both(old, new)
        say(f"    {path:{wide}}  {left} → {right}")


def _both(old: Any, new: Any) -> tuple[str, str]:
    """Return two values as short texts: of lists the entries that differ, of long texts the end that differs."""
    if isinstance(old, list) and isinstance(new, list):
        left, right = [each for each in old if each not in new], [each for each in new if each not in old]
        if left or right:
            return _short(left), _short(right)
    texts = [_text(each) for each in (old, new)]
    same = next((n for n, both in enumerate(zip(*texts, strict=False)) if both[0] != both[1]), 0)
    if same > _WIDE // 2 and max(map(len, texts)) > _WIDE:
        texts = [f"…{text[same - _WIDE // 6 :]}" for text in texts]
    return _short(texts[0]), _short(texts[1])


def _short(value: Any, most: int = _WIDE) -> str:
    text = _text(value)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _text(value: Any) -> str:
    if isinstance(value, dict | list):
        value = encoding.dumps(filled(value), ensure_ascii=False, default=str)
    return "NULL" if value is None else str(value)
