"""The demo on S3: the same estate, delivered to a bucket, and a lake in another. `make demo-s3` runs it.

It shows as well that a second run changes no object. The server (moto) holds everything in memory: its buckets, and so
the lake, are gone when the demo ends; `--stay` keeps them until Ctrl-C.
"""

import argparse
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from orchestration.cli.app import fail, known_errors
from orchestration.demo.local import run_tour, simulate, write_settings
from orchestration.demo.simulators.s3 import CREDENTIALS, S3Server
from orchestration.demo.tour import console, step
from orchestration.settings import FILE_VARIABLE, TOP

HOME = TOP / ".headwater" / "demo-s3"
DELIVERED, LAKE = "larkspur-logs", "larkspur-lake"
EVENTS = 20_000  # 1,591 objects: most of the time goes by requests, whatever their size
PLACES = {"aws_cloudtrail": "cloudtrail", "windows_event": "windows"}


def main(events: int = EVENTS, stay: bool = False) -> int:
    """Run the demo on S3 and return an exit code: 0 when every sheet balances and a second run changes nothing."""
    began = time.monotonic()
    simulate(HOME, events)
    with S3Server() as server:
        for name in ("headwater.yml", "scratch"):  # of an earlier server
            _remove(HOME / name)
        s3 = server.client()
        objects = deliver(s3, HOME / "estate")
        console.print(f"    {objects:,} objects put into s3://{DELIVERED}, on a server of our own at {server.url}")
        write_settings(HOME, settings(server.url))
        secrets = {**CREDENTIALS, "AWS_EC2_METADATA_DISABLED": "true"}
        code = run_tour(HOME, f"objects listed by the hour in s3://{DELIVERED}, a lake in s3://{LAKE}", secrets)
        before = etags(s3)
        step("again", "the same demo a second time")
        code = run_tour(HOME, "the same buckets", secrets) or code
        changed = {key for key, etag in {*before.items()} ^ {*etags(s3).items()}}
        outcome = "[green]not one object has changed[/]"
        if changed:
            outcome = f"[red]{len(changed):,} have changed, such as {min(changed)}[/]"
        console.print(f"\n    s3://{LAKE}: {len(before):,} objects; after the second run {outcome}")
        console.print(f"    {time.monotonic() - began:.0f} s in all")
        farewell(stay)
    return code or bool(changed)


def deliver(s3: Any, estate: Path) -> int:
    """Put the estate's objects into a bucket, as their vendors would; return how many."""
    for bucket in (DELIVERED, LAKE):
        s3.create_bucket(Bucket=bucket)
    paths = [path for name in PLACES.values() for path in sorted((estate / name).rglob("*")) if path.is_file()]

    def put(path: Path) -> None:
        s3.put_object(Bucket=DELIVERED, Key=path.relative_to(estate).as_posix(), Body=path.read_bytes())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, paths))
    return len(paths)


def settings(url: str) -> dict[str, object]:
    """Return what the settings file says of places."""
    return {
        "lake": f"s3://{LAKE}/lake",
        "scratch": "scratch",
        "s3": {"endpoint_url": url, "region": "us-east-1"},
        "sources": {source: {"root": f"s3://{DELIVERED}/{folder}"} for source, folder in PLACES.items()},
    }


def etags(s3: Any) -> dict[str, str]:
    """Return the etag of every object of the lake."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=LAKE)
    return {each["Key"]: each["ETag"] for page in pages for each in page.get("Contents", ())}


def farewell(stay: bool) -> None:
    """Say where to go on; with `stay`, keep the server until Ctrl-C."""
    if not stay:
        console.print(
            "    the server kept all this in memory; to look around: .venv/bin/python -m orchestration.demo.s3 --stay"
        )
        return
    given = " ".join(f"{name}={value}" for name, value in CREDENTIALS.items())
    console.print(
        "\n[bold]Look around[/], in another terminal, until Ctrl-C here\n"
        f"    export {FILE_VARIABLE}={(HOME / 'headwater.yml').relative_to(TOP)} {given}\n"
        "    .venv/bin/headwater balance --by-hour\n"
        '    .venv/bin/headwater query "select class_name, count(*) from silver.process_activity group by 1"'
    )
    with suppress(KeyboardInterrupt):
        while True:
            time.sleep(3600)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    asked = argparse.ArgumentParser(prog="python -m orchestration.demo.s3", description=main.__doc__)
    asked.add_argument("--events", type=int, default=EVENTS, help="size of the estate")
    asked.add_argument("--stay", action="store_true", help="keep the server and its buckets until Ctrl-C")
    options = asked.parse_args()
    try:
        sys.exit(main(options.events, options.stay))
    except known_errors() as problem:
        sys.exit(fail(problem))
