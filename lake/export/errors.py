"""What can go wrong with a delivery. Whatever it is: the rows are in the lake, and the hour stays behind until it goes.

What belongs here: the errors that destinations raise, and saying in plain words what cannot be read. What does not:
retrying.
"""

import re
from collections.abc import Iterable

import msgspec

from lake.base.errors import WRONG_CALL, HeadwaterError


class ExportError(HeadwaterError):
    """A partition was not delivered. The message says what to do, and what the destination holds now."""


class BadDeclaration(HeadwaterError, ValueError):
    """What a model's meta or the settings say of an export cannot be used; the message names where it is said."""

    exit_code = WRONG_CALL


class SchemaConflict(ExportError):
    """The destination's table has a column whose type cannot become the one that the rows need. Nothing was changed."""


class DestinationDenied(ExportError):
    """Credentials are missing, wrong or expired, or a permission is missing; the message names which."""


class DestinationUnavailable(ExportError):
    """The destination did not answer, is full, or throttles, after all retries within the bound."""


class RowsRefused(ExportError):
    """The destination took the request and refused what is in it (a wrong type, a quota on size)."""


class Mismatch(ExportError):
    """The destination holds other rows than were pushed; the receipt says both counts and checksums."""


def plainly(problem: msgspec.ValidationError, known: Iterable[str] = ()) -> str:
    """Return what is wrong with something that a person wrote: where in it (`.timeout`, `[0]` or nothing), then why."""
    found = re.fullmatch(r"(.*?)(?: - at `\$(.*)`)?", str(problem), re.DOTALL)
    said, where = (found[1], found[2] or "") if found else (str(problem), "")
    said = said.removeprefix("Object contains ").removeprefix("Object ")
    names = ", ".join(sorted(known)) if said.startswith("unknown") else ""
    return f"{where}: {said[:1].lower()}{said[1:]}" + (f" (known: {names})" if names else "")
