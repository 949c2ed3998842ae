"""A lock in a bucket: one object, made on the condition that it is absent, renewed while it is held.

Nobody's clock is trusted. Who waits watches the object: when it has not changed for `TIME_TO_LIVE_SECONDS` of the
waiter's own monotonic clock, its holder is dead or cut off, and the lock is taken over on the condition that it is
still what was seen. The holder renews several times within that time, and takes the lock for lost when it could not for
most of it; it asks `Lease.check` before every act on the lake.

Processes of one machine first take a file lock that the kernel frees when they die. Who holds that and finds the
bucket's lock in the name of the same machine knows that its holder is dead, and need not wait.

A store without conditional writes cannot keep this promise between machines: there, one machine at a time may write
(README, "Concurrency").
"""

import json
import random
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from lake.storage.store import ABSENT, Conflict, Lease, LostLock, S3Options, file_lock

TIME_TO_LIVE_SECONDS = 30.0
_RENEWALS = 5  # within the time to live
_LOST_AFTER = 0.6  # of the time to live without a renewal
_WAIT_SECONDS = (0.05, 0.25)
_SETTLE_SECONDS = 1.0  # where writes are not conditional: how long two writers that met need to see each other


class Bucket(Protocol):
    """What the lock needs of the store that it locks (`lake.storage.s3.S3Store`)."""

    options: S3Options
    scratch: Path

    @property
    def machine(self) -> str: ...  # noqa: D102 - as in Store
    def read(self, key: str) -> bytes: ...  # noqa: D102
    def write(self, key: str, data: bytes, expect: str = ...) -> str: ...  # noqa: D102
    def fingerprint_seen(self, key: str) -> str: ...  # noqa: D102
    def delete_expected(self, key: str, fingerprint: str) -> None: ...  # noqa: D102
    def url(self, key: str) -> str: ...  # noqa: D102


class S3Lease(Lease):
    """A held lock of a bucket."""

    def __init__(self, store: Bucket, key: str, token: str, place: str) -> None:
        """Wait for the lock and take it."""
        self._store, self._key, self._token, self._place = store, key, token, place
        self._fingerprint, self._renewed_at = _acquired(store, key, body_of(token, place), place)
        self._beats = 0
        self._taken = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._renew_until_ended, name="headwater-lock", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise LostLock unless the lock is surely still held."""
        if self._taken or time.monotonic() - self._renewed_at > TIME_TO_LIVE_SECONDS * _LOST_AFTER:
            raise LostLock(
                f"the lock {self._store.url(self._key)} could not be renewed in time; the change is in the journal or"
                " was not begun, and the next command finishes it"
            )

    def end(self) -> None:
        """Stop renewing, and free the lock if it is still held."""
        self._ended.set()
        self._thread.join()
        try:
            self.check()
        except LostLock:
            return
        with suppress(OSError):  # what was done stands; the lock ends by itself, on this machine at once
            self._store.delete_expected(self._key, self._fingerprint)

    def _renew_until_ended(self) -> None:
        while not self._ended.wait(TIME_TO_LIVE_SECONDS / _RENEWALS):
            self._beats += 1
            body = body_of(self._token, self._place, self._beats)
            asked_at = time.monotonic()  # others see the renewal from then on, however late its answer comes
            try:
                self._fingerprint = self._store.write(self._key, body, self._fingerprint)
                self._renewed_at = asked_at
            except Conflict:
                self._taken = True
                return
            except OSError:
                continue  # cut off for now; `check` knows how long


def body_of(token: str, place: str, beats: int = 0) -> bytes:
    """Return what a lock's object holds: who, on which machine, and how often renewed."""
    return json.dumps({"token": token, "place": place, "beats": beats}).encode()


@contextmanager
def held_lock(store: Bucket, name: str) -> Iterator[Lease]:
    """Hold a named lock of the lake."""
    key = f".lock-{name}"
    with file_lock(store.scratch / key):
        lease = S3Lease(store, key, uuid.uuid4().hex, store.machine)
        try:
            yield lease
        finally:
            lease.end()


def _acquired(store: Bucket, key: str, body: bytes, place: str) -> tuple[str, float]:
    """Return the fingerprint of the lock, once it is ours, and since when (monotonic) it is at the longest."""
    seen, since = "", time.monotonic()
    while True:
        asked_at = time.monotonic()
        try:
            return _settled(store, key, body, store.write(key, body, ABSENT)), asked_at
        except Conflict:
            pass
        try:
            held = store.read(key)
        except FileNotFoundError:
            continue
        fingerprint = store.fingerprint_seen(key)
        if fingerprint != seen:
            seen, since = fingerprint, time.monotonic()
        if json.loads(held).get("place") == place or time.monotonic() - since > TIME_TO_LIVE_SECONDS:
            asked_at = time.monotonic()
            try:
                return _settled(store, key, body, store.write(key, body, fingerprint)), asked_at
            except Conflict:
                continue
        time.sleep(random.uniform(*_WAIT_SECONDS))


def _settled(store: Bucket, key: str, body: bytes, fingerprint: str) -> str:
    """Return the fingerprint if the lock is ours; where writes are not conditional, look again after a while."""
    if store.options.conditional_writes is not False:
        return fingerprint
    time.sleep(_SETTLE_SECONDS)
    if store.read(key) != body:
        raise Conflict(f"{store.url(key)} was taken by another writer")
    return fingerprint
