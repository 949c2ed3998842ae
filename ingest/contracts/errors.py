"""The one error of contract loading, and the place in the file that it names."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lake.base.errors import HeadwaterError


class ContractError(HeadwaterError, ValueError):
    """A contract cannot be used. One line: `<file>: <field>: <what is wrong>`."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in which file: knows how to say what is wrong there."""

    file: Path
    field: str

    def error(self, what: str) -> ContractError:
        """The error to raise, on one line."""
        return ContractError(" ".join(f"{self.file}: {self.field}: {what}".split()))

    def at(self, field: str) -> "Place":
        """Another place in the same file."""
        return Place(self.file, field)


def one_of(allowed: Iterable[str]) -> str:
    """The allowed words, for a message."""
    return "expected one of " + ", ".join(sorted(allowed))
