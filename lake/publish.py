"""Publishing: replacing several files and a receipt as one act that survives being killed.

A step prepares everything under `_staging/`, then publishes: the whole change is written to the journal first,
then applied, then the journal entry goes. A process that dies in between leaves the entry; whoever comes next
(any step, any reader that asks for `recover`) finishes it before looking at the lake. Each part of a change may be
applied twice, so dying again while recovering is harmless.

What belongs here: the journal and the order of its parts. What does not: what a step publishes.
"""

import os
import shutil
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import msgspec

from lake.paths import JOURNAL, STAGING
from lake.store import LocalStore, Store

ABANDONED_AFTER_SECONDS = 24 * 3600


class Change(msgspec.Struct, frozen=True):
    """What one step does to the lake: files moved into place, files removed, receipts written; in this order."""

    moves: tuple[tuple[str, str], ...] = ()
    deletes: tuple[str, ...] = ()
    receipts: tuple[tuple[str, str], ...] = ()


def publish(store: Store, plan: Callable[[], Change]) -> Change:
    """Apply a change so that it happens wholly or, after a crash, on the next `recover`.

    `plan` is called while the lake's publishing lock is held and after earlier, unfinished changes are finished, so
    it may read receipts to decide what its change replaces.
    """
    with store.lock("publish"):
        _finish_all(store)
        change = plan()
        entry = f"{JOURNAL}/{time.time_ns():020d}-{uuid.uuid4().hex[:8]}.json"
        store.write(entry, msgspec.json.encode(change))
        _apply(store, change)
        store.delete(entry)
    return change


def recover(store: Store) -> int:
    """Finish the changes that a killed process left half applied; return how many there were."""
    if next(iter(store.list(JOURNAL)), None) is None:
        return 0
    with store.lock("publish"):
        return _finish_all(store)


def _finish_all(store: Store) -> int:
    entries = list(store.list(JOURNAL))
    for entry in entries:
        _apply(store, msgspec.json.decode(store.read(entry.key), type=Change))
        store.delete(entry.key)
    return len(entries)


def _apply(store: Store, change: Change) -> None:
    for staged, final in change.moves:
        try:
            store.move(staged, final)
        except FileNotFoundError:
            if store.info(final) is None:
                raise
    for key in change.deletes:
        store.delete(key)
    for key, text in change.receipts:
        store.write(key, text.encode())


class Workplace:
    """A step's own folder under `_staging/`, removed when the step ends; what a killed step left goes after a day."""

    def __init__(self, store: Store, purpose: str) -> None:
        self.store = store
        self.key = f"{STAGING}/{purpose}-{os.getpid()}-{uuid.uuid4().hex[:12]}"
        self.path = Path(store.url(self.key))

    def __enter__(self) -> "Workplace":
        self.path.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    def key_of(self, path: Path) -> str:
        """Return the lake key of a file in this workplace."""
        return f"{self.key}/{path.relative_to(self.path).as_posix()}"


def sweep(store: Store, older_than_seconds: float = ABANDONED_AFTER_SECONDS) -> int:
    """Remove the workplaces of steps that died; return how many. Running steps touch theirs and are left alone."""
    if not isinstance(store, LocalStore):
        return 0
    swept = 0
    for folder in (store.path / STAGING).glob("*"):
        owner = folder.name.split("-")[1:2]
        dead = bool(owner) and owner[0].isdigit() and not _alive(int(owner[0]))
        if dead or time.time() - folder.stat().st_mtime > older_than_seconds:
            shutil.rmtree(folder, ignore_errors=True)
            swept += 1
    return swept


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
