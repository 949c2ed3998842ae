"""Cron schedules as the settings may say them: five fields, or a word such as `@daily`. Checked without Dagster."""

import re

_WORDS = ("@hourly", "@daily", "@weekly", "@monthly")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (  # name, least, most, words that stand for numbers
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, {word: at for at, word in enumerate(_MONTHS, 1)}),
    ("day of the week", 0, 7, {word: at for at, word in enumerate(_DAYS)}),
)
_PART = re.compile(r"(?:(\*)|([0-9]{1,3}|[a-z]{3})(?:-([0-9]{1,3}|[a-z]{3}))?)(?:/([0-9]{1,3}))?\Z")
_LENGTHS = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}  # days of the months that lack a 31st
_EXPECTED = "expected five fields such as 15 * * * *, or @daily"


def check_cron(text: str) -> str:
    """Return a schedule. Raises ValueError that names the field that is wrong."""
    if text in _WORDS:
        return text
    fields = text.split()
    if len(fields) != len(_FIELDS):
        counted = "" if text.startswith("@") else f": it has {len(fields)} fields"
        raise ValueError(f"{text[:80]!r} is no cron schedule{counted} ({_EXPECTED})")
    sets = []
    for given, (name, least, most, words) in zip(fields, _FIELDS, strict=True):
        found = [_numbers(part, least, most, words) for part in given.lower().split(",")]
        if not all(found):
            raise ValueError(
                f"{text[:80]!r} is no cron schedule: {given!r} is no {name}, {least} to {most} ({_EXPECTED})"
            )
        sets.append({number for part in found for number in part})
    if fields[4] == "*" and not any(min(sets[2]) <= _LENGTHS.get(month, 31) for month in sets[3]):
        raise ValueError(f"{text[:80]!r} is no cron schedule: there is no such day in that month ({_EXPECTED})")
    return text


def _numbers(part: str, least: int, most: int, words: dict[str, int]) -> range:
    """Return the numbers that a part of a field stands for; none when it cannot be one."""
    found = _PART.match(part)
    if not found:
        return range(0)
    whole, first, last, step = found.groups()
    try:
        begin = least if whole else words[first] if first in words else int(first)
        if whole or (step and not last):  # 5/15: from the fifth on
            end = most
        else:
            last = last or first
            end = words[last] if last in words else int(last)
    except ValueError:
        return range(0)
    if (step and not 0 < int(step) <= most) or not least <= begin <= end <= most:
        return range(0)
    return range(begin, end + 1, int(step or 1))
