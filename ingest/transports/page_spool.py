"""The durable pages of one fetch: what came over the wire stays on disk until its receipt is durable.

A spool directory holds `page-00001.json` … (bodies as received), `cursor.json` (see `_Cursor`) and `lock`. It never
holds credentials: neither headers nor anything derived from them are written.

A page is made durable in three steps: its bytes under a temporary name; the cursor that names the page, its sha256 and
the link after it; the page's own name. A crash before the second step costs that page only (it was never spooled), a
crash after it costs nothing: the temporary file is complete, proven by its sha256, and gets its name on resume. Were
the page named before the cursor knows its link, a crash in between would cost a page that is there already.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from ingest.transports.fetch_errors import SpoolInUse

_FORMAT = 1


@dataclass(frozen=True)
class SpooledPage:
    """One page on disk: file name, sha256 and size in bytes of its body, and the link to the page after it."""

    name: str
    sha256: str
    size: int
    next: str | None


class PageSpool:
    """The pages of one window in one directory; open it with `open_spool`."""

    def __init__(self, directory: Path, window: Mapping[str, str]) -> None:
        self.directory = directory
        self._window = dict(window)
        self.pages: list[SpooledPage] = []
        self.restarted = False  # by whoever has it open, not on resuming

    @property
    def complete(self) -> bool:
        """Whether the last page is spooled."""
        return bool(self.pages) and self.pages[-1].next is None

    @property
    def next(self) -> str | None:
        """The link to go on from; None at the start and at the end of a window."""
        return self.pages[-1].next if self.pages else None

    def path(self, page: SpooledPage) -> Path:
        """Where a page lies."""
        return self.directory / page.name

    def append(self, body: bytes, following: str | None) -> SpooledPage:
        """Make one more page durable; `following` is the link to the page after it, None if it is the last."""
        name = f"page-{len(self.pages) + 1:05d}.json"
        page = SpooledPage(name, hashlib.sha256(body).hexdigest(), len(body), following)
        _write(_pending(self.path(page)), body)
        self.pages.append(page)
        self._write_cursor()
        _rename(_pending(self.path(page)), self.path(page))
        return page

    def restart(self) -> None:
        """Forget every page: the next one is page 1."""
        self.pages = []
        for leftover in [*self.directory.glob("page-*"), *self.directory.glob("cursor.json*")]:
            leftover.unlink()
        _sync(self.directory)

    def resume(self) -> None:
        """Take up what an earlier fetch of the same window left; anything else in the spool is thrown away."""
        kept = self._whole_pages(self._read_cursor())
        if not kept:
            self.restart()
            return
        self.pages = kept
        names = {page.name for page in kept}
        for leftover in self.directory.glob("page-*"):
            if leftover.name not in names:
                leftover.unlink()
        self._write_cursor()

    def _whole_pages(self, pages: list[SpooledPage]) -> list[SpooledPage]:
        """The pages up to the first one that is not there as the cursor describes it."""
        for count, page in enumerate(pages):
            path = self.path(page)
            if not _holds(path, page.sha256):
                if not _holds(_pending(path), page.sha256):
                    return pages[:count]
                _rename(_pending(path), path)
        return pages

    def _read_cursor(self) -> list[SpooledPage]:
        try:
            cursor = json.loads((self.directory / "cursor.json").read_bytes())
            if (cursor["format"], cursor["window"]) != (_FORMAT, self._window):
                return []
            return [SpooledPage(**page) for page in cursor["pages"]]
        except (OSError, ValueError, KeyError, TypeError):
            return []

    def _write_cursor(self) -> None:
        cursor = {
            "format": _FORMAT,
            "window": self._window,
            "complete": self.complete,
            "next": self.next,
            "pages": [asdict(page) for page in self.pages],
        }
        path = self.directory / "cursor.json"
        _write(_pending(path), json.dumps(cursor, indent=1).encode())
        _rename(_pending(path), path)


@contextmanager
def open_spool(directory: Path, window: Mapping[str, str]) -> Iterator[PageSpool]:
    """The spool of `window` in `directory` (made if absent), resumed where an earlier fetch of it ended.

    `window` names all that decides what the pages hold (address and parameters); when it differs from the one the
    spool was filled for, the spool starts empty. Raises SpoolInUse while another process has the spool open.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SpoolInUse(f"{directory}: another process is fetching into this spool; wait for it to end") from None
        spool = PageSpool(directory, window)
        spool.resume()
        yield spool


def _pending(path: Path) -> Path:
    return path.with_name(path.name + ".tmp")


def _write(path: Path, body: bytes) -> None:
    with path.open("wb") as out:
        out.write(body)
        out.flush()
        os.fsync(out.fileno())


def _rename(old: Path, new: Path) -> None:
    old.replace(new)
    _sync(new.parent)


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _holds(path: Path, sha256: str) -> bool:
    try:
        with path.open("rb") as body:
            return hashlib.file_digest(body, "sha256").hexdigest() == sha256
    except FileNotFoundError:
        return False
