"""What a destination is: it takes a partition of a table whole, and says what it holds.

Destinations are the modules of `lake.export.destinations`, found by folder; `configured` opens one by the settings.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

import msgspec

import lake.export.destinations
from lake import ledger
from lake.base import plugins
from lake.export.errors import BadDeclaration, DestinationDenied, plainly
from lake.export.rows import Reader
from lake.storage import paths
from lake.storage.store import Store

LOOPBACK = ("127.0.0.1", "::1", "localhost")
_REQUIRED = ("Options", "TYPES", "NOTES", "open_destination")


@dataclass(frozen=True, order=True)
class Partition:
    """One event hour (naive UTC, its first instant) of a table."""

    hour: datetime

    @classmethod
    def of(cls, text: str) -> "Partition":
        """Return the partition of an hour text, `YYYY-MM-DDTHH`."""
        return cls(ledger.hour(text))

    @property
    def date(self) -> date:
        """Return the day of the hour."""
        return self.hour.date()

    @property
    def folder(self) -> str:
        """Return `date=YYYY-MM-DD/hour=HH`."""
        return paths.hour_folder(self.hour)

    def __str__(self) -> str:
        return ledger.hour_text(self.hour)


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What a destination says it holds of a partition: rows, and the checksum over their event ids.

    The checksum is the sum, over the rows, of the first 8 hexadecimal digits of the MD5 of `_event_id` as a number.
    """

    rows: int
    checksum: int


NOTHING = Held(rows=0, checksum=0)


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """One row that a destination refused, with the destination's own code and words. The row is in the lake."""

    event_id: str
    source: str
    code: str
    said: str


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """What one push did: rows and bytes sent, what the destination holds now, and how that is proven.

    `left_behind` counts rows of earlier pushes that the hour no longer has and the destination cannot remove.
    `proof` is `query` (the destination was asked), `acknowledgements` (it confirmed each batch) or `file` (the file was
    read back). `sent` counts the rows of this push alone, None: all. `remote` has the destination's own names (a job, a
    query), `notes` what a person should know. `digests` are of the files that were written, by their key there.
    """

    held: Held
    bytes: int
    proof: str
    sent: int | None = None
    left_behind: int = 0
    refused: Sequence[Refusal] = ()
    remote: dict[str, str] = {}
    notes: tuple[str, ...] = ()
    digests: dict[str, str] = {}


@dataclass(frozen=True)
class Place:
    """Where a destination works: the lake, a folder of this machine for as long as it is open, and its limits.

    `escape_formulas`: whether CSV is made so that no spreadsheet runs a text of it.
    """

    lake: Store
    work: Path
    memory_bytes: int = 1 << 30
    threads: int = 2
    escape_formulas: bool = True


class Destination(Protocol):
    """One configured destination. A partition is replaced as a whole: pushing it twice is pushing it once."""

    @property
    def identity(self) -> str:
        """Return what makes it this destination and no other (account, database, folder and format), without secrets.

        When it changes, everything is behind. It is part of receipts and shown to people.
        """
        ...

    def push(self, table: str, partition: Partition, reader: Reader) -> Delivery:
        """Make the destination's partition equal to the reader's rows, also when there are none, and read it back.

        Raises:
            SchemaConflict: nothing was changed.
            DestinationDenied, DestinationUnavailable, RowsRefused: the partition is as it was, or, where the outcome
                is unknown, as it was or as it should be; pushing again settles it.
        """
        ...

    def read_back(self, table: str, partition: Partition) -> Held | None:
        """Return what the destination holds of a partition; None where it cannot be asked."""
        ...

    def close(self) -> None:
        """End connections."""
        ...


class HoldsFiles(Protocol):
    """A destination whose files can be read again, byte by byte."""

    def altered(self, digests: Mapping[str, str]) -> dict[str, str]:
        """Return the files, by their address, that are not as they were written, and what is found of each."""
        ...


def altered_files(destination: Destination, digests: Mapping[str, str]) -> dict[str, str]:
    """Return what is wrong with the files of a delivery, by address; nothing where files have no digests.

    Raises ExportError when they cannot be read.
    """
    return cast(HoldsFiles, destination).altered(digests) if digests and hasattr(destination, "altered") else {}


@dataclass(frozen=True)
class Configured:
    """A destination of the settings: its kind, and that kind's own `Options`."""

    name: str
    kind: str
    options: Any

    def open(self, place: Place) -> Destination:
        """Return the destination, ready to push. Raises ExportError."""
        return cast(Destination, module_of(self.kind).open_destination(self.name, self.options, place))

    @property
    def lacking(self) -> list[str]:
        """Return what the settings name and this machine lacks: variables, files to read, a folder to write to."""
        found = []
        for option in self.options.__struct_fields__:
            value, where = getattr(self.options, option), f"(destinations.{self.name}.{option} names it)"
            if not value:
                continue
            if option.endswith("_env") and not os.environ.get(value):
                found.append(f"the variable {value} is not set {where}")
            elif option.endswith("_file") and not os.access(value, os.R_OK):
                found.append(f"{value} cannot be read {where}")
            elif option == "root" and "://" not in value and not _is_writable(Path(value)):
                found.append(f"{value} cannot be written to {where}")
        return found


def _is_writable(folder: Path) -> bool:
    """Whether a folder can be written to, or made."""
    there = next(each for each in (folder, *folder.parents) if each.exists())
    return there.is_dir() and os.access(there, os.W_OK)


def kinds() -> list[str]:
    """Return the names of all kinds of destinations."""
    return plugins.names(lake.export.destinations)


def module_of(kind: str) -> ModuleType:
    """Return the module of a kind. Raises LookupError, TypeError as `plugins.load`."""
    return plugins.load(lake.export.destinations, kind, _REQUIRED)


def configured(name: str, given: Mapping[str, Any]) -> Configured:
    """Return a destination of the settings. In these, `root` and names that end in `_file` are paths.

    Raises:
        BadDeclaration: the type is unknown, or a setting of it is unknown, missing or of another type.
    """
    kind = given.get("type")
    if kind not in kinds():
        found = f"{kind!r} is no type" if kind else "no `type` is given"
        raise BadDeclaration(f"destinations.{name}: {found} (known: {', '.join(kinds())})")
    options = module_of(str(kind)).Options
    try:
        made = msgspec.convert({key: value for key, value in given.items() if key != "type"}, options, strict=False)
    except msgspec.ValidationError as problem:
        known = options.__struct_encode_fields__
        raise BadDeclaration(f"destinations.{name}{plainly(problem, known)}") from None
    return Configured(name, str(kind), made)


def check_url(url: str, secret_env: str) -> None:
    """Raise ValueError for a `url` of the settings over which a credential would go in clear, or that holds one.

    `secret_env` is the option that names the credential's variable. Plain http is for this machine alone.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"`url` {parts.scheme or url!r} is no address: expected https://host.example.com:port")
    if parts.username or parts.password:
        raise ValueError(f"`url` holds a password; give the credential in the variable that `{secret_env}` names")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ValueError(f"`url` {url}: over http the credential would cross the network in clear: use https")


def secret_of(variable: str, place: str) -> str:
    """Return the secret in a variable of the environment; `place` says what it opens. Raises DestinationDenied."""
    value = os.environ.get(variable, "")
    if not value.strip():
        raise DestinationDenied(f"{place}: the variable {variable} is not set; it holds the credential")
    return value
