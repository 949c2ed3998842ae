"""One object as a vendor delivered it: a file in a bucket or folder, or one page of an API answer.

How objects are found or fetched is in `ingest/transports/` and `ingest/sources/`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO


class ObjectGone(OSError):
    """An object is no longer what was listed or announced: deleted, or replaced. Nothing of it was read.

    Its batch goes on without it and says so; should it come back, or be new, the next listing finds it.
    """


class ObjectRefused(OSError):
    """A store that answers will not give an object: a permission, its key or its storage class is in the way.

    It says nothing of other objects. The message names bucket and key, or the file, and what is missing.
    """


@dataclass(frozen=True)
class RawObject:
    """One delivered object, opened only when somebody reads it.

    `name` is the key or path shown to people and kept as `_source_object`; `open` gives its bytes from the start,
    each time it is called; `size` is in bytes as stored (compressed, if it is); `arrived_at` is aware and in UTC;
    `fingerprint` changes whenever the content may have changed (size and mtime, an etag, or a sha256).
    `part` gives the bytes from a place up to another, where reading ahead of the turn pays: an object far away.
    Both raise ObjectGone and ObjectRefused.
    """

    name: str
    open: Callable[[], BinaryIO]
    size: int
    arrived_at: datetime
    fingerprint: str
    part: Callable[[int, int], bytes] | None = None
