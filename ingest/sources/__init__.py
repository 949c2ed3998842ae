"""One folder per kind of log of one vendor: its contract, and code only where data cannot declare it.

A folder may hold three modules that others call, found by their names: `source.py` of a source that is read from an API
in a way that its contract cannot declare (`Api`), `integrity.py` of a source whose vendor signs what it delivers
(`Integrity`), and `layouts.py` of a source that comes in many layouts (`Layouts`).
"""

import importlib
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol, cast

from lake.base.errors import WRONG_CALL, HeadwaterError
from lake.storage.store import AwsAccess, Store

if TYPE_CHECKING:
    from ingest.transports.api_settings import ApiPlace
    from ingest.transports.declared import Fetched


_FOLDER = Path(__file__).parent
_DECLARES_API = re.compile(rb"""property:\s*["']?api\b""")


class Api(Protocol):
    """What reads a source from its API: what its contract declares, or a `source.py` where no data can.

    `Place`: the settings under `sources.<source>`; `EXAMPLE`: a line of them; `SETTLE`: the `settle` of a place that
    says nothing else; `SWEEP`: how long after its end an hour is asked for once more (0: it is not).
    """

    Place: "type[ApiPlace]"
    EXAMPLE: str
    SETTLE: timedelta
    SWEEP: timedelta

    def fetch(self, place: Any, hour: datetime, spool: Path) -> "Fetched":
        """Return what was published in an arrival hour (naive UTC), kept in `spool`. Raises FetchError."""
        ...


class Finding(Protocol):
    """One thing that is wrong with a delivered file. `severity` is `error` or `warning`."""

    kind: str
    severity: str
    meaning: str
    file: str
    why: str
    digest: str
    batches: tuple[str, ...]


class Report(Protocol):
    """What verifying arrival hours `first` to `last` found: counts of files and bytes, and `severity` of the worst."""

    first: str
    last: str
    digests: int
    log_files: int
    intact: int
    proven: int
    landed: int
    bytes: int
    chains: Sequence[Any]
    findings: Sequence[Finding]
    sound: bool
    severity: str

    def plain(self) -> dict[str, object]:
        """Return it as plain values."""
        ...


class Integrity(Protocol):
    """An `integrity.py`. `SETTLED`: how long after an hour's end its files can be verified."""

    SETTLED: timedelta

    def verify_hours(
        self,
        store: Store,
        root: str,
        digests: str | None,
        public_keys: str | Sequence[Path],
        access: AwsAccess,
        first: str,
        last: str,
        now: datetime,
        told: Callable[[int, int], None],
    ) -> Report:
        """Verify the files that arrived in hours `YYYY-MM-DDTHH`, both included, as of `now` (UTC, aware).

        `told` gets how many files of how many were read.
        """
        ...


class Layouts(Protocol):
    """A `layouts.py`, which a contract asks for by `layouts: true`."""

    def plain(self, record: dict[str, Any], own_names: Mapping[str, str]) -> dict[str, Any] | None:
        """Return a record in the contract's layout with every value that it has, None when it is of no known layout.

        `own_names` are the contract's fields by their lower case. The record given may be taken apart.
        """
        ...

    # Optional: `of_text(line)` gives a line of text without an object as a record that `plain` reads, or None.


class BrokenModule(HeadwaterError, ImportError):
    """A module of a source's folder cannot be imported, or lacks something; the message names the file."""

    exit_code = WRONG_CALL


def api_of(source: str) -> Api | None:
    """Return what reads a source from its API, None when nothing does. Raises BrokenModule, ContractError."""
    written = _module(source, "source", ("Place", "EXAMPLE", "SETTLE", "SWEEP", "fetch"))
    if written is not None:
        return cast(Api, written)
    file = _FOLDER / source / "contract.yaml"
    if not file.is_file() or not _DECLARES_API.search(file.read_bytes()):  # reading a whole contract takes longer
        return None
    from ingest.contracts import contract_of  # only APIs load what asks them
    from ingest.transports.declared import DeclaredApi

    contract = contract_of(source)
    return DeclaredApi(contract) if contract.api else None


def integrity_of(source: str) -> Integrity | None:
    """Return the `integrity.py` of a source, None when it has none. Raises BrokenModule."""
    return cast(Integrity | None, _module(source, "integrity", ("SETTLED", "verify_hours")))


def layouts_of(source: str) -> Layouts | None:
    """Return the `layouts.py` of a source, None when it has none. Raises BrokenModule."""
    return cast(Layouts | None, _module(source, "layouts", ("plain",)))


def _module(source: str, name: str, attributes: Sequence[str]) -> ModuleType | None:
    file = _FOLDER / source / f"{name}.py"
    if not source.isidentifier() or not file.is_file():
        return None
    try:
        module = importlib.import_module(f"{__name__}.{source}.{name}")
    except Exception as problem:  # whatever the file raises
        why = f"{type(problem).__name__}: {' '.join(str(problem).split())}"
        raise BrokenModule(f"{file}: cannot be imported: {why}") from problem
    if missing := [each for each in attributes if not hasattr(module, each)]:
        raise BrokenModule(f"{file}: lacks {', '.join(missing)}: see ingest/sources/__init__.py")
    return module
