"""Looking at a lake in a bucket from outside: a copy of it on this machine, to which `tests.integration.lakes` applies.

What belongs here: copying, and what readers could see that no receipt names. What does not: expectations.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lake import ledger
from lake.ledger import build_receipts
from lake.storage.store import LocalStore
from tests.integration.lakes import leftovers, receipts, rows

_READ = ("bronze/", "quarantine/", "silver/", "ledger/dispositions/")  # where readers look


@dataclass(frozen=True)
class State:
    """What must be the same however a lake came to be: rows by key, receipts; and that nothing else is there."""

    rows: dict[str, str]
    receipts: dict[str, Any]
    unnamed: list[str] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)


class Lake:
    """A prefix of a bucket, seen through a client of one's own. Bodies that were seen are not fetched again."""

    def __init__(self, client: Any, bucket: str, prefix: str, scratch: Path) -> None:
        self.client, self.bucket, self.prefix = client, bucket, prefix
        self.url = f"s3://{bucket}/{prefix}"
        self._scratch = scratch
        (scratch / "bodies").mkdir(parents=True, exist_ok=True)

    def keys(self) -> dict[str, str]:
        """Return the etag of every key."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=f"{self.prefix}/")
        return {
            each["Key"].removeprefix(f"{self.prefix}/"): each["ETag"]
            for page in pages
            for each in page.get("Contents", ())
        }

    def copy(self) -> Path:
        """Copy the lake to a folder of this machine and return it."""
        folder = self._scratch / "copy"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for key, etag in self.keys().items():
            body = self._scratch / "bodies" / etag.strip('"')
            if not body.exists():
                body.write_bytes(self.client.get_object(Bucket=self.bucket, Key=f"{self.prefix}/{key}")["Body"].read())
            (folder / key).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(body, folder / key)
        return folder

    def state(self) -> State:
        """Return what must be the same however the lake came to be."""
        folder = self.copy()
        return State(rows(folder), receipts(folder), sorted(_unnamed(folder)), leftovers(folder))


def _unnamed(folder: Path) -> Iterator[str]:
    """Yield the files where readers look that no receipt names, and those a receipt names that are not there."""
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    there = {key for key in there if key.startswith(_READ)}
    yield from there ^ named(folder)


def named(folder: Path) -> set[str]:
    """Return the keys of all files that the receipts of a lake name."""
    store = LocalStore(folder)
    landed = {mark.key for receipt in ledger.landings(store) for mark in (*receipt.files, *receipt.quarantine_files)}
    built = {
        each.file for model in build_receipts.models(store) for each in build_receipts.of_model(store, model).values()
    }
    return landed | built - {""}
