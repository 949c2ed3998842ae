"""Paths into a record: how a contract writes them and how DuckDB reads them.

A path is written with dots (`winlog.event_id`). A step that itself holds a dot or a quote-worthy sign
may be put in double quotes: `Event.System.TimeCreated."#attributes".SystemTime`.
"""

import re

_STEP = re.compile(r'"([^"]+)"|([^."]+)')


def split_path(text: str) -> tuple[str, ...]:
    """Steps of a written path. Raises ValueError when the text is not a path."""
    steps: list[str] = []
    at = 0
    while True:
        match = _STEP.match(text, at)
        if match is None:
            raise ValueError(f"not a path: {text!r}")
        steps.append(match[1] or match[2])
        at = match.end()
        if at == len(text):
            return tuple(steps)
        if text[at] != ".":
            raise ValueError(f"not a path: {text!r}")
        at += 1


def json_path(steps: tuple[str, ...]) -> str:
    """DuckDB JSONPath of the steps, every name quoted: `$."actor"."id"`; the step `[*]` is every list element."""
    return "$" + "".join(step if step == "[*]" else f'."{step}"' for step in steps)
