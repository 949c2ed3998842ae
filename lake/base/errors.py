"""The one base of errors that a user can act on, and how something broken is told that stops nothing but itself."""

import logging
from collections.abc import Iterable
from functools import lru_cache
from typing import ClassVar

NEEDS_A_LOOK, WRONG_CALL, NOT_LANDED = 1, 2, 3
REPAIR = "run `headwater doctor --repair`"  # what to do about a file of the lake that is damaged or gone


class HeadwaterError(Exception):
    """Something a user can act on: the message says what was expected, what was found, where, and what to do.

    Any other exception is a bug and keeps its traceback. `exit_code` is the command line's: 1 when something needs a
    look, 2 when the call or the settings are wrong, 3 when a batch did not land. `advice` is printed below the message
    of every error of its class.
    """

    exit_code: ClassVar[int] = NEEDS_A_LOOK
    advice: ClassVar[str] = ""


@lru_cache(maxsize=256)
def tell_omission(text: str) -> None:
    """Log what had to be left out for it is damaged, once in this process: a command then ends with exit code 1."""
    logging.getLogger("headwater").error("%s", text)


@lru_cache(maxsize=256)
def warn_once(text: str) -> None:
    """Log a warning, once in this process: of the command line it goes to stderr, of Dagster to the process's log."""
    logging.getLogger("headwater").warning("%s", text)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return what to say behind a name that is unknown: ` (did you mean path?)`, ` (known: format, path)` or ""."""
    from difflib import get_close_matches  # only a bad name needs it

    names = sorted(known)
    if close := get_close_matches(name, names, 1):
        return f" (did you mean {close[0]}?)"
    return f" (known: {', '.join(names)})" if names else ""
