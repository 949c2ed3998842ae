"""Walking a bucket along a vendor's key layouts: from the root straight to the folders that can hold some hours.

What belongs here: which prefixes have to be listed. What does not: listing them (`bucket_place`), layouts as such
(`ingest.contracts.layouts`).

Levels such as accounts and regions are looked up in the bucket each time, one request for each folder, so a new one is
found by itself. Times are not looked up: the walk goes to the days and hours it was asked for.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from datetime import datetime

from ingest.contracts.layouts import KeyLayout, Level, read_template

Levels = Callable[[str, str], list[str]]  # (prefix, character) → the values that stand between them


@dataclass(frozen=True)
class _Point:
    """Where a walk stands: the text of the prefix so far, the levels known, the parts to come, the folders' time.

    The last `named` of the parts to come belong to the objects' own names.
    """

    text: str
    known: tuple[tuple[str, str], ...]
    parts: tuple[str | Level, ...]
    named: int
    filed: datetime


def prefixes(
    layouts: Sequence[KeyLayout],
    root: str,
    near: Sequence[datetime],
    hour: datetime | None,
    levels: Levels,
    pool: Executor,
) -> list[str]:
    """Return the prefixes under a root (empty, or ending in `/`) that can hold objects filed at the hours `near`.

    With `hour`, names that begin with a time are narrowed to it; without, whole folders are given. All times are
    naive UTC. Nothing is given when no folder of any layout is there.
    """
    points = [point for each in layouts for point in _starts(each if hour else each.day, root, near, hour)]
    asked: dict[tuple[str, str], list[str]] = {}
    found: set[str] = set()
    while points:
        moved = [_go(each, hour) for each in points]
        found.update(each.text for each in moved if not each.parts)
        waiting = [each for each in moved if each.parts]
        new = sorted({question for each in waiting if (question := _question(each)) not in asked})
        asked.update(zip(new, pool.map(lambda each: levels(*each), new), strict=True))
        points = [point for each in waiting for point in _entered(each, asked[_question(each)])]
    return _uncovered(sorted(found))


def _uncovered(found: Sequence[str]) -> list[str]:
    """Return sorted prefixes without those that begin with another one, whose keys are listed with it."""
    kept: list[str] = []
    for each in found:
        if not kept or not each.startswith(kept[-1]):
            kept.append(each)
    return kept


def _starts(layout: KeyLayout, root: str, near: Sequence[datetime], hour: datetime | None) -> Iterator[_Point]:
    known, parts = _aligned(layout, root)
    filing = layout.parts[: layout.name_at] if hour else layout.parts
    formats = [each.time_format for each in filing if isinstance(each, Level) and each.time_format]
    filed: dict[tuple[str, ...], datetime] = {}
    for each in near:
        filed.setdefault(tuple(each.strftime(form) for form in formats), each)
    for each in filed.values():
        yield _Point(root, known, parts, len(layout.parts) - layout.name_at, each)


def _aligned(layout: KeyLayout, root: str) -> tuple[tuple[tuple[str, str], ...], tuple[str | Level, ...]]:
    """Return the levels that the root itself names, and the parts below it: a root may lie inside a layout."""
    folders = root.split("/")[:-1]
    wanted = layout.template.split("/")[:-1]
    first_time = next((at for at, each in enumerate(wanted) if "{yyyy}" in each), len(wanted))
    for count in range(min(len(folders), first_time), 0, -1):
        known = _levels_of(wanted[:count], folders[-count:])
        if known is not None:
            rest = layout.template.removeprefix("/".join(wanted[:count]) + "/")
            return tuple(known.items()), read_template(rest).parts if rest else ()
    return (), layout.parts


def _levels_of(wanted: Sequence[str], folders: Sequence[str]) -> dict[str, str] | None:
    """Return the levels in some folders, None if they are not of the layout; at least one has to be a plain name."""
    if not any("{" not in each for each in wanted):
        return None
    known: dict[str, str] = {}
    for template, folder in zip(wanted, folders, strict=True):
        parts = read_template(f"{template}/").parts
        pattern = "".join(
            re.escape(each) if isinstance(each, str) else f"(?P<{each.name}>{each.shape})" for each in parts
        )
        found = re.fullmatch(pattern, f"{folder}/")
        if not found:
            return None
        known.update(found.groupdict())
    return known


def _go(point: _Point, hour: datetime | None) -> _Point:
    """Go on to the next level that has to be looked up, or to the end."""
    text, known = point.text, dict(point.known)
    for at, each in enumerate(point.parts):
        if isinstance(each, str):
            text += each
        elif each.time_format:
            in_name = len(point.parts) - at <= point.named
            text += (hour if in_name and hour else point.filed).strftime(each.time_format)
        elif each.name in known:
            text += known[each.name]
        else:
            return replace(point, text=text, parts=point.parts[at:])
    return replace(point, text=text, parts=())


def _question(point: _Point) -> tuple[str, str]:
    level = point.parts[0]
    assert isinstance(level, Level)
    return point.text, level.ends_with


def _entered(point: _Point, values: Sequence[str]) -> Iterator[_Point]:
    level = point.parts[0]
    assert isinstance(level, Level)
    shape = re.compile(level.shape)
    for value in values:
        if shape.fullmatch(value):
            known = (*point.known, (level.name, value))
            yield replace(point, text=point.text + value, known=known, parts=point.parts[1:])
