"""What can go wrong with an export. In every case the rows are in the lake, and the hour stays behind until it goes."""

import re
from collections.abc import Iterable

import msgspec

from lake.base.errors import WRONG_CALL, HeadwaterError


class ExportError(HeadwaterError):
    """A partition was not delivered. The message says what to do, and what the destination holds now."""


class BadDeclaration(HeadwaterError, ValueError):  # a ValueError, so that pydantic names the setting
    """A model's meta or the settings cannot be used; the message names the place."""

    exit_code = WRONG_CALL


class SchemaConflict(ExportError):
    """The destination's table has a column whose type cannot become the one that the rows need. Nothing was changed."""


class DestinationDenied(ExportError):
    """Credentials are missing, wrong or expired, or a permission is missing; the message names which."""


class DestinationUnavailable(ExportError):
    """The destination did not answer, is full, or throttles, after all retries within the bound."""


class RowsRefused(ExportError):
    """The destination took the request and refused what is in it (a wrong type, a quota on size)."""


def plainly(problem: msgspec.ValidationError, known: Iterable[str] = ()) -> str:
    """Return what is wrong with something that a person wrote: where in it (`.timeout`, `[0]` or nothing), then why."""
    found = re.fullmatch(r"(.*?)(?: - at `\$(.*)`)?", str(problem), re.DOTALL)
    said, where = (found[1], found[2] or "") if found else (str(problem), "")
    said = said.removeprefix("Object contains ").removeprefix("Object ")
    names = ", ".join(sorted(known)) if said.startswith("unknown") else ""
    return f"{where}: {said[:1].lower()}{said[1:]}" + (f" (known: {names})" if names else "")


def one_line(problem: object) -> str:
    """Return the text of an error, or any other, on one line of at most 300 characters."""
    return " ".join(str(problem).split())[:300]
