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

try:
    import fcntl
except ImportError:  # pragma: no cover - see lake.store
    fcntl = None  # type: ignore[assignment]

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
    """A step's own folder under `_staging/`, removed when the step ends. What dead steps left goes before it starts.

    A living step holds a lock on its folder, which the kernel frees however the step ends: process ids would not do,
    for in a container every run has the same.
    """

    def __init__(self, store: Store, purpose: str) -> None:
        self.store = store
        self.key = f"{STAGING}/{purpose}-{os.getpid()}-{uuid.uuid4().hex[:12]}"
        self.path = Path(store.url(self.key))
        self._held: int | None = None

    def __enter__(self) -> "Workplace":
        sweep(self.store)
        with self.store.lock("staging"):
            self.path.mkdir(parents=True, exist_ok=True)
            self._held = _locked(self.path)
        return self

    def __exit__(self, *_: object) -> None:
        if not self._is_awaited():
            shutil.rmtree(self.path, ignore_errors=True)
        if self._held is not None:
            os.close(self._held)
            self._held = None

    def _is_awaited(self) -> bool:
        """Whether a change that broke off (a full disk, Ctrl-C) still needs files of this place to be finished."""
        changes = [msgspec.json.decode(self.store.read(each.key), type=Change) for each in self.store.list(JOURNAL)]
        return any(staged.startswith(f"{self.key}/") for change in changes for staged, _ in change.moves)

    def key_of(self, path: Path) -> str:
        """Return the lake key of a file in this workplace."""
        return f"{self.key}/{path.relative_to(self.path).as_posix()}"


def sweep(store: Store) -> int:
    """Remove the workplaces and temporary files of steps that died; return how many there were.

    What an unfinished change still needs is finished first, so nothing is removed that the journal names.
    """
    if not isinstance(store, LocalStore) or not (store.path / STAGING).is_dir():
        return 0
    with store.lock("publish"), store.lock("staging"):
        _finish_all(store)
        left = [path for path in (store.path / STAGING).iterdir() if _is_abandoned(path)]
        for path in left:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
    return len(left)


def _is_abandoned(path: Path) -> bool:
    """Whether nobody works here: the folder's lock is free. Files are written under the publishing lock, held here."""
    if not path.is_dir():
        return True
    if fcntl is None:  # pragma: no cover - see lake.store
        return time.time() - path.stat().st_mtime > ABANDONED_AFTER_SECONDS
    held = _locked(path)
    if held is not None:
        os.close(held)
    return held is not None


def _locked(folder: Path) -> int | None:
    """Return the descriptor of a folder that was locked with it, or None when another process holds it."""
    if fcntl is None:  # pragma: no cover - see lake.store
        return None
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
