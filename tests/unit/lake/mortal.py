"""A local store that dies at its n-th change, before or after making it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lake.storage.store import LocalStore


class Killed(BaseException):
    """Stands for kill -9: nothing catches it."""


class Mortal(LocalStore):
    """Dies at its n-th move or removal (writing moves a temporary file into place); never, when `dies_at` is 0."""

    def __init__(self, root: Path, dies_at: int = 0, *, after: bool = False) -> None:
        super().__init__(root)
        self.acts, self.dies_at, self.after = 0, dies_at, after

    @contextmanager
    def _act(self) -> Iterator[None]:
        self.acts += 1
        if self.acts == self.dies_at and not self.after:
            raise Killed
        yield
        if self.acts == self.dies_at:
            raise Killed

    def move(self, key: str, to: str) -> None:
        with self._act():
            super().move(key, to)

    def delete(self, key: str) -> None:
        with self._act():
            super().delete(key)
