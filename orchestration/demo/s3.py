"""The demo on S3: the same estate, delivered to a bucket, and a lake in another. `make demo-s3` runs it.

What belongs here: an S3-compatible server of the demo's own, its buckets, and proof that a second run changes nothing.
What does not: the steps (`orchestration.demo.local`). The server (moto) holds everything in memory: its buckets, and so
the lake, are gone when the demo ends; `--stay` keeps them until Ctrl-C.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from lake.storage.aws import AwsAccess, client
from orchestration.cli.output import fail, known_errors
from orchestration.demo.local import console, simulate, step, tour, write_settings
from orchestration.settings import FILE_VARIABLE, TOP

HOME = TOP / ".headwater" / "demo-s3"
DELIVERED, LAKE = "larkspur-logs", "larkspur-lake"
EVENTS = 20_000  # 1,591 objects: most of the time goes by requests, whatever their size
PLACES = {"aws_cloudtrail": "cloudtrail", "windows_event": "windows"}
# What the server takes for credentials; real ones come by AWS's standard chain and are never in a file of Headwater.
_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "demo", "AWS_SECRET_ACCESS_KEY": "demo", "AWS_DEFAULT_REGION": "us-east-1"}


def main(events: int = EVENTS, stay: bool = False) -> int:
    """Run the demo on S3 and return an exit code: 0 when every sheet balances and a second run changes nothing."""
    began = time.monotonic()
    truth = simulate(HOME / "estate", events)
    with s3_server() as url:
        for name in ("headwater.yml", "scratch"):  # of an earlier server
            _remove(HOME / name)
        os.environ |= {**_CREDENTIALS, "AWS_EC2_METADATA_DISABLED": "true"}
        access = AwsAccess(endpoint_url=url, region="us-east-1")
        objects = deliver(access, HOME / "estate")
        console.print(f"    {objects:,} objects put into s3://{DELIVERED}, on a server of our own at {url}")
        write_settings(HOME, settings(url))
        code = tour(HOME, truth, f"objects listed by the hour in s3://{DELIVERED}, a lake in s3://{LAKE}")
        before = etags(access)
        step("again", "the same demo a second time")
        code = tour(HOME, truth, "the same buckets") or code
        changed = {key for key, etag in {*before.items()} ^ {*etags(access).items()}}
        told = "[green]not one object has changed[/]"
        if changed:
            told = f"[red]{len(changed):,} have changed, such as {min(changed)}[/]"
        console.print(f"\n    s3://{LAKE}: {len(before):,} objects; after the second run {told}")
        console.print(f"    {time.monotonic() - began:.0f} s in all")
        farewell(stay)
    return code or bool(changed)


@contextmanager
def s3_server() -> Iterator[str]:
    """Run an S3-compatible server on loopback while the block runs; give its address."""
    words = [sys.executable, "-m", "orchestration.demo.simulators.s3"]
    server = subprocess.Popen(words, cwd=TOP, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        url = server.stdout.readline().strip() if server.stdout else ""
        if not url:
            raise RuntimeError("the S3-compatible server did not start; `make setup` installs it (moto)")
        yield url
    finally:
        if server.stdin:
            server.stdin.close()
        server.wait(timeout=10)


def deliver(access: AwsAccess, estate: Path) -> int:
    """Put the estate's objects into a bucket, as their vendors would; return how many."""
    s3 = client(access, "s3")
    for bucket in (DELIVERED, LAKE):
        s3.create_bucket(Bucket=bucket)
    paths = [path for name in PLACES.values() for path in sorted((estate / name).rglob("*")) if path.is_file()]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda path: _put(access, path, path.relative_to(estate).as_posix()), paths))
    return len(paths)


def _put(access: AwsAccess, path: Path, key: str) -> None:
    client(access, "s3").put_object(Bucket=DELIVERED, Key=key, Body=path.read_bytes())


def settings(url: str) -> dict[str, object]:
    """Return what the settings file says of places."""
    return {
        "lake": f"s3://{LAKE}/lake",
        "scratch": "scratch",
        "s3": {"endpoint_url": url, "region": "us-east-1"},
        "sources": {source: {"root": f"s3://{DELIVERED}/{folder}"} for source, folder in PLACES.items()},
    }


def etags(access: AwsAccess) -> dict[str, str]:
    """Return the etag of every object of the lake."""
    pages = client(access, "s3").get_paginator("list_objects_v2").paginate(Bucket=LAKE)
    return {each["Key"]: each["ETag"] for page in pages for each in page.get("Contents", ())}


def farewell(stay: bool) -> None:
    """Say where to go on; with `stay`, keep the server until Ctrl-C."""
    if not stay:
        console.print(
            "    the server kept all this in memory; to look around: .venv/bin/python -m orchestration.demo.s3 --stay"
        )
        return
    given = " ".join(f"{name}={value}" for name, value in _CREDENTIALS.items())
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
