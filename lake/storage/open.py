"""Opens the store of a lake's root."""

from pathlib import Path

from lake.base.errors import WRONG_CALL, HeadwaterError
from lake.storage.s3_options import S3Options
from lake.storage.store import LocalStore, Store


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
    if "://" in text:
        raise UnsupportedStore(f"lake root {text!r}: expected a local folder, a file:// URL or s3://bucket/prefix")
    return LocalStore(text)
