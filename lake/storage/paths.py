"""The lake's path grammar: every key in the lake is made here, and read back here; folders on this machine are, too."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lake.base.errors import WRONG_CALL, HeadwaterError

BRONZE = "bronze"
QUARANTINE = "quarantine"
SILVER = "silver"
GOLD = "gold"
INDEX = "index"  # which observables the hours of silver hold
REFERENCE = "reference"
LEDGER = "ledger"
STAGING = "_staging"
JOURNAL = "_journal"
SPOOL = "_spool"
EXPORTING = "_exporting"  # pushes that have begun, and what destinations that cannot replace an hour have taken (ids)
DAMAGED = "damaged"  # where unreadable files are put aside, under their own key
REFUSED = "refused"  # rows that a destination refused, whole, with its own code
OUTCOMES = "dispositions"  # the table of event outcomes: what became of every bronze row
ERASURES = "erasures"  # standing conditions, which may name a person: close this folder to all but landing and erasing

# Whatever the umask: a lake is read by its group, and what was erased on request, and by whom, by nobody else.
FILE_MODE, FOLDER_MODE, PRIVATE_MODE = 0o640, 0o750, 0o700
_SYNCED_AT_ONCE = 8
_SMALL = 1 << 16  # bytes of a file that is read at once
RACES = 5  # an emptied folder may vanish between making it and using it, as often as others clean up

NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
BATCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*\Z")
_HOUR_NAME = re.compile(r"\d{8}T\d{2}\Z")
Address = str | tuple[str, tuple[str, ...]]  # a file, or a file with the batches whose rows in it count

_HOUR_FOLDER = re.compile(r"(?s:.*/|)date=(\d{4}-\d{2}-\d{2})/hour=(\d{2})(?:/|\Z)")  # the last one


class BadName(HeadwaterError, ValueError):
    """A source, class, model or batch name that cannot be a folder name."""


class BadRoot(HeadwaterError, ValueError):
    """A path that no lake can have."""

    exit_code = WRONG_CALL


def local_root(root: str) -> Path:
    """Return where a lake lies. Raises BadRoot for a path that no folder can have, or that DuckDB cannot be given."""
    try:
        path = Path(root).expanduser().resolve()
        found = next(each for each in (path, *path.parents) if each.exists())
        odd = [each for each in "*?[\\" if each in path.as_posix()]
        str(path).encode()
    except (OSError, RuntimeError, ValueError) as problem:
        raise BadRoot(f"lake {root!r}: it cannot lie there: {getattr(problem, 'strerror', None) or problem}") from None
    if not found.is_dir():
        raise BadRoot(f"lake {root!r}: {found} is a file, expected a folder")
    if odd:
        raise BadRoot(f"lake {root!r}: DuckDB takes {' '.join(odd)} in a path for a pattern; choose another folder")
    return path


def checked(name: str, pattern: re.Pattern[str] = NAME) -> str:
    """Return `name` if it may be part of a key.

    Raises:
        BadName: it holds anything but the letters the grammar allows (so no separators, no dots first).
    """
    if not pattern.match(name):
        raise BadName(f"{name!r} cannot be used as a name in the lake (expected {pattern.pattern})")
    return name


def floor_hour(at: datetime) -> datetime:
    """Return the start of the UTC hour that holds `at`, as a naive UTC datetime."""
    utc = at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo else at
    return utc.replace(minute=0, second=0, microsecond=0)


def hour_folder(hour: datetime) -> str:
    """Return `date=YYYY-MM-DD/hour=HH` of an hour (naive UTC)."""
    return f"date={hour:%Y-%m-%d}/hour={hour:%H}"


def hour_of(key: str) -> datetime | None:
    """Return the hour (naive UTC) that a key is filed under, or None when it is filed under none."""
    found = _HOUR_FOLDER.match(key)
    return datetime.strptime("T".join(found.groups()), "%Y-%m-%dT%H") if found else None


def hour_name(hour: datetime) -> str:
    """Return the name of an hour as batches and partition keys spell it in file names: `20260302T05`."""
    return f"{hour:%Y%m%dT%H}"


def hour_named(name: str) -> datetime | None:
    """Return the hour (naive UTC) that `hour_name` gives this name, or None when it gives none."""
    return datetime.fromisoformat(name) if _HOUR_NAME.match(name) else None


def hours_between(first: datetime, end: datetime) -> list[datetime]:
    """Return the hours (naive UTC) that hold an instant from `first` up to, not including, `end`."""
    until = end.astimezone(UTC).replace(tzinfo=None) if end.tzinfo else end
    hour, found = floor_hour(first), []
    while hour < until:
        found.append(hour)
        hour += timedelta(hours=1)
    return found


def bronze_file(source: str, hour: datetime, batch: str) -> str:
    """Return the key of the bronze file of one batch and one event hour."""
    return f"{BRONZE}/{checked(source)}/{hour_folder(hour)}/{checked(batch, BATCH)}.parquet"


def quarantine_file(source: str, hour: datetime, batch: str) -> str:
    """Return the key of the quarantine file of one batch, filed by arrival hour."""
    return f"{QUARANTINE}/{checked(source)}/{hour_folder(hour)}/{checked(batch, BATCH)}.parquet"


def landing_receipt(source: str, batch: str) -> str:
    """Return the key of the receipt that one landed batch leaves."""
    return f"{LEDGER}/landing/{checked(source)}/{checked(batch, BATCH)}.json"


def not_landed_folder(source: str) -> str:
    """Return the folder of the batches of a source that did not land."""
    return f"{LEDGER}/not_landed/{checked(source)}"


def not_landed(source: str, batch: str) -> str:
    """Return the key of the record of a batch that did not land."""
    return f"{not_landed_folder(source)}/{checked(batch, BATCH)}.json"


def shared_file(room: str, source: str, hour: datetime, name: str) -> str:
    """Return the key of a bronze or quarantine file that holds rows of several batches."""
    return f"{room}/{checked(source)}/{hour_folder(hour)}/{checked(name, BATCH)}.parquet"


def made_by(model: str) -> str:
    """Return the folder of what a model's builds were made by: one file for each fingerprint."""
    return f"{LEDGER}/made_by/{checked(model)}"


def compaction_receipt(key: str) -> str:
    """Return the key of the receipt of a file that compaction made."""
    return f"{LEDGER}/compaction/{key.removesuffix('.parquet')}.json"


def erasure_receipts(source: str) -> str:
    """Return the folder of the receipts of a source's erasures."""
    return f"{LEDGER}/erasure/{checked(source)}"


def erasure_receipt(source: str, erasure: str) -> str:
    """Return the key of the receipt of one erasure."""
    return f"{erasure_receipts(source)}/{checked(erasure, BATCH)}.json"


def erasure_conditions(source: str) -> str:
    """Return the folder of the conditions of a source's erasures that stand."""
    return f"{ERASURES}/conditions/{checked(source)}"


def erasure_condition(source: str, erasure: str) -> str:
    """Return the key of the condition of an erasure that stands."""
    return f"{erasure_conditions(source)}/{checked(erasure, BATCH)}.json"


def erased_rows(source: str, erasure: str) -> str:
    """Return the folder of lists of erased rows, which are kept until it is proven that these are nowhere any more."""
    return f"{ERASURES}/rows/{checked(source)}/{checked(erasure, BATCH)}"


def unreadable_message(source: str, digest: str) -> str:
    """Return the key of the record of a queue's message that is no notification; `digest` (hex) is of its text."""
    return f"{LEDGER}/messages/{checked(source)}/{checked(digest, BATCH)}.json"


def verdict_receipt(day: str, name: str) -> str:
    """Return the key of the receipt of one act of adding verdicts, on a day (`YYYY-MM-DD`)."""
    return f"{LEDGER}/verdicts/date={day}/{name}.json"


def export_receipts(destination: str, table: str) -> str:
    """Return the folder of the receipts of one table at one destination."""
    return f"{LEDGER}/export/{checked(destination)}/{checked(table)}"


def export_day(destination: str, table: str, day: str) -> str:
    """Return the key of the receipts of one table at one destination and day (`YYYY-MM-DD`)."""
    return f"{export_receipts(destination, table)}/date={day}.json"


def export_progress(destination: str, table: str, hour: datetime) -> str:
    """Return the folder of what a destination that cannot replace an hour has taken of it."""
    return f"{EXPORTING}/{checked(destination)}/{checked(table)}/{hour_folder(hour)}"


def export_begun(destination: str, table: str) -> str:
    """Return the folder of the pushes of a table that have begun: one file for each hour, named after it."""
    return f"{EXPORTING}/{checked(destination)}/{checked(table)}/begun"


def refused_file(destination: str, table: str, hour: datetime) -> str:
    """Return the key of the rows of an event hour that a destination refused."""
    return f"{REFUSED}/{checked(destination)}/{checked(table)}/{hour_folder(hour)}/part.parquet"


def refused_folders(folders: Callable[[str], Iterable[str]]) -> list[str]:
    """Return the folders of refused rows, of every table at every destination; `folders` is a store's."""
    return [f"{REFUSED}/{name}/{table}" for name in folders(REFUSED) for table in folders(f"{REFUSED}/{name}")]


def silver_folder(table: str, source: str) -> str:
    """Return the folder that holds one class of one source."""
    return f"{SILVER}/{checked(table)}/source={checked(source)}"


def index_folder(table: str, source: str) -> str:
    """Return the folder that holds the index of observables of one class of one source."""
    return f"{INDEX}/{checked(table)}/source={checked(source)}"


def index_file(key: str) -> str:
    """Return the key of the index that lies beside a file of silver."""
    return f"{INDEX}/{key.removeprefix(f'{SILVER}/')}"


def indicator_ends() -> str:
    """Return the key of what matches were last held against: when indicators end, by feed."""
    return f"{LEDGER}/retro/ends.json"


def gold_folder(mart: str) -> str:
    """Return the folder that holds one mart."""
    return f"{GOLD}/{checked(mart)}"


def outcomes_folder(source: str) -> str:
    """Return the folder that says what became of every bronze row of a source."""
    return f"{LEDGER}/{OUTCOMES}/source={checked(source)}"


def lookup_answers(provider: str, name: str) -> str:
    """Return the key of a file with answers of a lookup provider."""
    return f"{REFERENCE}/lookups/provider={checked(provider)}/{checked(name, BATCH)}.parquet"


def lookup_receipt(provider: str) -> str:
    """Return the key of the receipt that names the files with the answers of a lookup provider."""
    return f"{LEDGER}/lookups/{checked(provider)}/answers.json"


def lookup_spent(provider: str) -> str:
    """Return the key of what was spent of the budget of a lookup provider."""
    return f"{LEDGER}/lookups/{checked(provider)}/spent.json"


def built_folders(folders: Callable[[str], Iterable[str]], source: str) -> list[str]:
    """Return the folders of everything that is built of a source's rows, marts among them; `folders` is a store's."""
    found = [outcomes_folder(source)]
    found += [silver_folder(table, source) for table in folders(SILVER)]
    found += [index_folder(table, source) for table in folders(INDEX)]
    return found + [gold_folder(mart) for mart in folders(GOLD)]


def make_folder(folder: Path, mode: int = FOLDER_MODE) -> None:
    """Make a folder and those above it, also while another process removes folders that are empty."""
    for attempt in range(RACES):
        try:
            if not folder.is_dir():
                fresh = [each for each in (folder, *folder.parents) if not each.exists()]
                folder.mkdir(parents=True, exist_ok=True)
                for each in fresh:
                    each.chmod(mode)
            return
        except FileNotFoundError:
            if attempt == RACES - 1:
                raise


def to_sync(folder: Path) -> Iterator[Path]:
    """Yield a folder in which a name changes, and those above it up to one that was there before."""
    yield folder
    while not folder.exists():
        folder = folder.parent
        yield folder


def sync(paths: Iterable[Path]) -> None:
    """Wait until files and folders are on the disk: many at once take a twentieth of one after the other."""
    each_once = list(set(paths))
    if len(each_once) < _SYNCED_AT_ONCE:
        for path in each_once:
            _sync_one(path)
        return
    from concurrent.futures import ThreadPoolExecutor  # most writes are of one file in one folder

    with ThreadPoolExecutor(_SYNCED_AT_ONCE) as pool:
        list(pool.map(_sync_one, each_once))


def _sync_one(path: Path) -> None:
    if os.name == "nt" and path.is_dir():  # pragma: no cover - Windows opens no folders
        return
    with suppress(FileNotFoundError):  # an emptied folder that another process has removed
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def bytes_of(path: str) -> bytes:
    """Return the bytes of a file: `pathlib` takes as long as the system for a small one."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        data = os.read(descriptor, _SMALL)
        if len(data) < _SMALL:
            return data
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return data + file.read()
    finally:
        os.close(descriptor)


def size_of(path: str) -> int | None:
    """Return the bytes of a file by their number; None where there is none."""
    with suppress(FileNotFoundError, NotADirectoryError):
        return os.stat(path).st_size  # noqa: PTH116 - pathlib takes as long as the system
    return None
