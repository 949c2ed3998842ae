"""Key layouts: what a vendor's object keys begin with, so that a bucket is listed only where an hour can be.

A layout is a template such as `AWSLogs/{account}/CloudTrail/{region}/{yyyy}/{mm}/{dd}/`.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from ingest.contracts.properties import Place

TIMES: Final = {"yyyy": "%Y", "mm": "%m", "dd": "%d", "hh": "%H"}
# The shapes of levels that share a folder with others; every other level may have any name.
_SHAPES: Final = {"account": r"\d{12}", "organization": r"o-[a-z0-9]+"}
_PART: Final = re.compile(r"\{([a-z_]+)\}|([^{}]+)")


@dataclass(frozen=True, slots=True)
class Level:
    """A part of a key that differs from object to object: an account, a region, or a part of a time.

    `ends_with` is the character that follows it in a key: what a listing of its values is cut at.
    """

    name: str
    ends_with: str

    @property
    def time_format(self) -> str | None:
        """The strftime format of a part of a time; None for what has to be looked up."""
        return TIMES.get(self.name)

    @property
    def shape(self) -> str:
        """A regular expression for its values."""
        if self.name in TIMES:
            return r"\d{4}" if self.name == "yyyy" else r"\d{2}"
        return _SHAPES.get(self.name, rf"[^/{re.escape(self.ends_with)}]+")


@dataclass(frozen=True)
class KeyLayout:
    """What keys begin with, below the folder that a source's root names or that the root lies in.

    `parts` are texts and levels. What follows the last `/` is the beginning of the object's own name; a time in
    it is the delivery time, while a time in the folders is only near it.
    """

    template: str
    parts: tuple[str | Level, ...]

    @property
    def name_at(self) -> int:
        """The number of the first part that belongs to the object's own name alone."""
        ends = [at for at, each in enumerate(self.parts) if isinstance(each, str) and "/" in each]
        return ends[-1] + 1 if ends else 0

    @cached_property
    def day(self) -> "KeyLayout":
        """The same layout, no narrower than a day: its folders, or where those tell no time the name up to the day."""
        folder = self.template[: self.template.rfind("/") + 1]
        has_day = "{yyyy}" in folder or "{hh}" not in self.template
        return read_template(folder if has_day else re.split(r"[^{}]*\{hh\}", self.template)[0])

    @property
    def has_time(self) -> bool:
        """Whether a listing can be narrowed to an hour or a day."""
        return any(isinstance(each, Level) and each.time_format for each in self.parts)

    def fits(self, key: str) -> bool:
        """Whether a key, at any depth of a bucket, is laid out so."""
        return self._pattern.search(key) is not None

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        seen: set[str] = set()
        text = "(?:^|/)"
        for each in self.parts:
            if isinstance(each, str):
                text += re.escape(each)
            elif each.name in TIMES:
                text += each.shape
            elif each.name in seen:
                text += f"(?P={each.name})"
            else:
                seen.add(each.name)
                text += f"(?P<{each.name}>{each.shape})"
        return re.compile(text)


def read_template(template: str) -> KeyLayout:
    """The layout of a template. Raises ValueError saying what is wrong with it."""
    if not template or template.startswith("/"):
        raise ValueError(f"{template!r}: expected folders such as AWSLogs/{{account}}/, from the root on")
    if "".join(found[0] for found in _PART.finditer(template)) != template:
        raise ValueError(f"{template!r}: expected texts and {{levels}} in small letters")
    found = [match.groups() for match in _PART.finditer(template)]
    parts: list[str | Level] = []
    for number, (name, text) in enumerate(found):
        follows = found[number + 1] if number + 1 < len(found) else (None, None)
        if name is None:
            parts.append(text)
            continue
        if name not in TIMES and follows[1] is None:
            raise ValueError(f"{template!r}: expected a text behind {{{name}}}, where its name ends in a key")
        parts.append(Level(name, (follows[1] or "/")[0]))
    return KeyLayout(template, tuple(parts))


def read_layouts(templates: tuple[str, ...], place: Place) -> tuple[KeyLayout, ...]:
    """The layouts of a contract. Raises ContractError."""
    try:
        return tuple(read_template(each) for each in templates)
    except ValueError as error:
        raise place.error(str(error)) from None
