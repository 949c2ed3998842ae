"""Opening a lake, and publishing: replacing several files and receipts as one act that survives being killed.

A step prepares everything under `_staging/`, then publishes: the whole change is written to the journal first,
then applied, then the journal entry goes. A process that dies in between leaves the entry; whoever comes next
(any step, any reader that asks for `recover`) finishes it before looking at the lake. Each part of a change may be
applied twice, so dying again while recovering is harmless.

In a bucket the same holds: prepared files are uploaded to `_staging/` before the lock is taken, and a receipt is
written on the condition that it is still the one the change was planned on, so that it never goes backwards, even if
the lock were lost on the way.
"""

import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from lake.base.errors import REPAIR, WRONG_CALL, HeadwaterError, tell_omission
from lake.storage.paths import JOURNAL, STAGING, make_folder
from lake.storage.store import (
    ABSENT,
    ANY,
    Conflict,
    Lease,
    LocalStore,
    ObjectInfo,
    S3Options,
    Store,
    file_lock,
)

try:
    import fcntl
except ImportError:  # pragma: no cover - see lake.storage.store
    fcntl = None  # type: ignore[assignment]

ABANDONED_AFTER = timedelta(hours=24)  # of uploads of another machine; those of this one are known at once
_STAGED_IN = re.compile(rb"\"" + STAGING.encode() + rb"/([^/\"]+)/")  # also in an entry that was cut off


class Overtaken(HeadwaterError):
    """A receipt was replaced by another writer while this change was applied, for the lock was lost. Run it again."""


class UnsupportedStore(HeadwaterError, ValueError):
    """A lake root that no store of this version serves."""

    exit_code = WRONG_CALL


def open_store(root: str | Path, s3: S3Options | None = None) -> Store:
    """Return the store of a lake root: a path, a `file://` URL, or `s3://bucket/prefix` with how it is used.

    Raises:
        UnsupportedStore: the URL names a kind of store that this version does not serve.
    """
    text = str(root)
    if text.startswith("file://"):
        text = text.removeprefix("file://")
    if text.startswith("s3://") and text.removeprefix("s3://").strip("/"):
        from lake.storage.s3 import S3Store  # boto3 takes half a second to import; only those with a bucket wait for it

        return S3Store(text, s3)
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", text):  # also with one slash
        raise UnsupportedStore(f"lake root {text!r}: expected a local folder, a file:// URL or s3://bucket/prefix")
    return LocalStore(text)


class Change(msgspec.Struct, frozen=True):
    """What one step does to the lake: files moved into place, receipts written, files removed; in this order.

    So a reader never finds a receipt whose file has gone, and nothing is removed when another writer's receipt stands.

    `expects` holds, receipt by receipt, the fingerprint that it replaces; empty where the lock is enough.
    """

    moves: tuple[tuple[str, str], ...] = ()
    deletes: tuple[str, ...] = ()
    receipts: tuple[tuple[str, str], ...] = ()
    expects: tuple[str, ...] = ()


def publish(store: Store, plan: Callable[[], Change]) -> Change:
    """Apply a change so that it happens wholly or, after a crash, on the next `recover`.

    `plan` is called while the lake's publishing lock is held and after earlier, unfinished changes are finished, so
    it may read receipts to decide what its change replaces. In a bucket it is also called before, to know what to
    upload.

    Raises:
        LostLock, Overtaken: another writer took the lake's lock meanwhile; the journal or the other's receipt stands.
        StoreUnavailable, AccessDenied: a bucket did not do what was asked; nothing, or a journaled part, has happened.
    """
    if not isinstance(store, LocalStore):
        store.stage(_staged(plan()))
    with store.lock("publish") as lease:
        _finish_all(store, lease)
        store.forget_seen()
        change = plan()
        store.stage(_staged(change))
        if not any((change.moves, change.deletes, change.receipts)):
            return change
        change = msgspec.structs.replace(change, expects=_expected(store, change))
        entry = f"{JOURNAL}/{time.time_ns():020d}-{uuid.uuid4().hex[:8]}.json"
        lease.check()
        store.write(entry, msgspec.json.encode(change), ANY if isinstance(store, LocalStore) else ABSENT)
        if (overtaken := _apply(store, change, lease)) is not None:
            store.delete_many([entry])
            raise Overtaken(f"{store.url(overtaken)} was replaced by another writer; run this step again")
        store.delete_many([entry])
    return change


def recover(store: Store) -> int:
    """Finish the changes that a killed process left half applied; return how many there were."""
    if next(iter(store.list(JOURNAL)), None) is None:
        return 0
    with store.lock("publish") as lease:
        return _finish_all(store, lease)


def _staged(change: Change) -> Iterable[str]:
    return [staged for staged, _ in change.moves]


def _expected(store: Store, change: Change) -> tuple[str, ...]:
    """Return what each receipt is when the change is planned; the file lock of a machine needs no second guard."""
    if isinstance(store, LocalStore):
        return ()
    return tuple(store.fingerprint_seen(key) for key, _ in change.receipts)


def _finish_all(store: Store, lease: Lease) -> int:
    finished = 0
    for entry in list(store.list(JOURNAL)):
        change, why = journaled(store, entry.key)
        if change is None:
            tell_omission(f"{why}; it is passed over, and nothing of it happens: {REPAIR}")
            continue
        if not _was_overtaken(store, change):
            _apply(store, change, lease)
        lease.check()
        store.delete_many([entry.key])
        finished += 1
    return finished


def journaled(store: Store, key: str) -> tuple[Change | None, str]:
    """Return the change of a journal entry; None, and why, when it can never be finished.

    Such an entry stays, and so does what it names in staging, until `headwater doctor --repair` puts it aside.
    """
    try:
        change = msgspec.json.decode(store.read(key), type=Change)
    except (msgspec.MsgspecError, UnicodeDecodeError) as problem:
        return None, f"{key} is no journal entry: {problem}"
    there = store.infos(each for pair in change.moves for each in pair)
    gone = [staged for staged, final in change.moves if there[staged] is None and there[final] is None]
    return (None, f"{key} cannot be finished: {gone[0]} is gone") if gone else (change, "")


def awaited(store: Store) -> set[str]:
    """Return the names of the folders in staging that entries of the journal still need."""
    found: set[bytes] = set()
    for entry in store.list(JOURNAL):
        with suppress(FileNotFoundError):  # another process has just finished it
            found.update(_STAGED_IN.findall(store.read(entry.key)))
    return {name.decode(errors="replace") for name in found}


def _was_overtaken(store: Store, change: Change) -> bool:
    """Whether a receipt is neither what a change was planned on nor what it makes of it.

    The change was journaled by a writer that had lost its lock: its files must not replace those of the newer receipt.
    """
    for (key, text), expected in zip(change.receipts, change.expects, strict=False):
        try:
            held = store.read(key)
        except FileNotFoundError:
            held = None
        found = ABSENT if held is None else store.fingerprint_seen(key)
        if found != expected and held != text.encode():
            return True
    return False


def _apply(store: Store, change: Change, lease: Lease) -> str | None:
    """Apply a change, also one that is half applied; return a receipt that a later writer has replaced, if any."""
    lease.check()
    store.move_many(change.moves)
    overtaken = None
    for number, (key, text) in enumerate(change.receipts):
        lease.check()
        try:
            store.write(key, text.encode(), change.expects[number] if change.expects else ANY)
        except Conflict:
            overtaken = key
    lease.check()
    if overtaken is None:  # else the other writer's receipt may name what this change removes
        store.delete_many(change.deletes)
    return overtaken


class Workplace:
    """A step's own folder under `_staging/`, removed when the step ends. What dead steps left goes before it starts.

    The folder is on this machine, also when the lake is a bucket. A living step holds a lock on it, which the kernel
    frees however the step ends: process ids would not do, for in a container every run has the same.
    """

    def __init__(self, store: Store, purpose: str) -> None:
        self.store = store
        self.key = f"{STAGING}/{store.machine}{purpose}-{os.getpid()}-{uuid.uuid4().hex[:12]}"
        self.path = store.prepared(self.key)
        self._held: int | None = None

    def __enter__(self) -> "Workplace":
        sweep(self.store)
        with _starting(self.store):
            make_folder(self.path)
            self._held = _locked(self.path)
        return self

    def __exit__(self, *_: object) -> None:
        if not self._is_awaited():
            shutil.rmtree(self.path, ignore_errors=True)
            self.store.unstage(self.key)
        if self._held is not None:
            os.close(self._held)
            self._held = None

    def _is_awaited(self) -> bool:
        """Whether a change that broke off (a full disk, Ctrl-C) still needs files of this place to be finished."""
        return self.key.rsplit("/", 1)[-1] in awaited(self.store)

    def key_of(self, path: Path) -> str:
        """Return the lake key of a file in this workplace."""
        return f"{self.key}/{path.relative_to(self.path).as_posix()}"


def sweep(store: Store) -> int:
    """Remove the workplaces and temporary files of steps that died; return how many there were.

    What an unfinished change still needs is finished first, so nothing is removed that the journal names.
    """
    if not isinstance(store, LocalStore):
        return _sweep_uploads(store) + _sweep_prepared(store)
    if not (store.path / STAGING).is_dir():
        return 0
    with store.lock("publish") as lease:
        _finish_all(store, lease)
        return _sweep_prepared(store)


def _starting(store: Store) -> AbstractContextManager[None]:
    """Hold off sweeping on this machine, so that a folder is not removed between being made and being locked."""
    return file_lock(store.prepared(STAGING).parent / ".lock-staging")


def _sweep_prepared(store: Store) -> int:
    place = store.prepared(STAGING)
    if not place.is_dir():
        return 0
    needed = awaited(store)
    with _starting(store), suppress(FileNotFoundError):  # an emptied folder goes with its last file
        left = [path for path in place.iterdir() if path.name not in needed and _is_abandoned(path)]
        for path in left:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        return len(left)
    return 0


def _sweep_uploads(store: Store) -> int:
    """Remove what dead steps uploaded: of this machine at once, of others when it has lain there for a day.

    The day is counted on the store's clock: from the upload to the lock that was just written.
    """
    if not store.folders(STAGING):
        return 0
    with store.lock("publish") as lease:
        _finish_all(store, lease)
        lock = store.info(".lock-publish")
        left: dict[str, list[ObjectInfo]] = {}
        needed = awaited(store)
        for each in store.list(STAGING):
            if each.key.split("/")[1] not in needed:
                left.setdefault("/".join(each.key.split("/")[:2]), []).append(each)
        dead = [
            folder for folder, objects in left.items() if lock and _is_dead(store, folder, objects, lock.modified_at)
        ]
        lease.check()
        store.delete_many(each.key for folder in dead for each in left[folder])
    return len(dead)


def _is_dead(store: Store, folder: str, objects: Sequence[ObjectInfo], now: datetime) -> bool:
    if folder.split("/")[1].startswith(store.machine):
        return not (path := store.prepared(folder)).exists() or _is_abandoned(path)
    return now - max(each.modified_at for each in objects) > ABANDONED_AFTER


def _is_abandoned(path: Path) -> bool:
    """Whether nobody works here: the folder's lock is free. Files are written under the publishing lock, held here."""
    if not path.is_dir():
        return True
    if fcntl is None:  # pragma: no cover - see lake.storage.store
        return time.time() - path.stat().st_mtime > ABANDONED_AFTER.total_seconds()
    held = _locked(path)
    if held is not None:
        os.close(held)
    return held is not None


def _locked(folder: Path) -> int | None:
    """Return the descriptor of a folder that was locked with it, or None when another holds it or it has just gone."""
    if fcntl is None:  # pragma: no cover - see lake.storage.store
        return None
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:  # its step has ended, and took it away
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
