"""One piece of work in a process of its own: `python -m tests.bench.job WHAT …` prints its seconds as JSON.

Starting Python and importing are not part of the seconds; the parent measures those where they count.
"""

import json
import sys
import time
from pathlib import Path

from ingest.contracts import load_contracts
from ingest.landing import LandingSettings, land_files
from ingest.objects import list_places
from orchestration.dbt.run import build
from orchestration.settings import access_of, load_settings, open_lake
from tests.bench.downloads import with_boto3, with_pyarrow
from tests.bench.yardstick import bare_copy_seconds


def land(source: str, path: str) -> float:
    settings = load_settings()
    contract, store = load_contracts()[source], open_lake(settings)
    began = time.perf_counter()
    limits = LandingSettings(memory_bytes=settings.memory_bytes, threads=settings.threads)
    listing = list_places(contract, [path], access_of(settings, source))
    done = land_files(contract, listing.objects, store, limits)
    seconds = time.perf_counter() - began
    assert all(each.receipt.status == "published" and not each.receipt.quarantined for each in done), done
    return seconds


def build_all() -> float:
    import dbt.cli.main  # noqa: F401  (importing dbt is not building)

    settings, sources = load_settings(), sorted(load_contracts())
    store = open_lake(settings)
    began = time.perf_counter()
    build(settings, store, sources)
    return time.perf_counter() - began


def download(client: str, endpoint: str, bucket: str, at_once: str) -> float:
    """Seconds of listing a bucket and reading every object of it, many at once, and nothing else."""
    began = time.perf_counter()
    {"boto3": with_boto3, "pyarrow": with_pyarrow}[client](endpoint, bucket, int(at_once))
    return time.perf_counter() - began


def yardstick(source: str, path: str) -> float:
    return bare_copy_seconds(source, Path(path))


if __name__ == "__main__":
    work = {"land": land, "build": build_all, "download": download, "yardstick": yardstick}[sys.argv[1]]
    print(json.dumps(work(*sys.argv[2:])))
