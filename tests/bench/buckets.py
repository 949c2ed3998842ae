"""What S3 costs: a lake in a bucket beside one in a folder, and many small objects beside few large ones.

Objects are read from a server that costs next to nothing (`object_server`), for a slow one would hide what is
measured; lakes lie on moto, whose share of the time is told. Ratios are of one run; the better of repeats counts.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from lake.storage.publish import open_store
from lake.storage.store import AwsAccess, S3Options
from orchestration.demo.simulators.s3 import S3Server, environment
from tests.bench.inputs import size
from tests.bench.measures import GIB, Bench, Row
from tests.bench.object_server import BUCKET
from tests.bench.process import ROOT, Measured, job

SOURCE = "aws_cloudtrail"
SMALL_BYTES = 20_000
_AT_ONCE = "16"


def lakes(bench: Bench) -> Iterator[Row]:
    """Landing and building into a bucket ÷ the same into a folder, from files and from objects."""
    paths = [(source, bench.inputs.lines(source, events, 1)) for source, events in bench.shares()]
    with _moto(bench) as server:
        local, remote, share = [], [], []
        for number in range(bench.repeats):
            local.append(_way(bench, str(bench.lake("folder")), paths))
            busy = _cpu_seconds(server)
            remote.append(_way(bench, _bucket_lake(bench, server, number), paths))
            share.append((_cpu_seconds(server) - busy) / remote[-1])
        note = f"{size([path for _, path in paths]) / 1e6:.0f} MB landed and built: {min(local):.1f} s in a folder,"
        note += f" {min(remote):.1f} s in a bucket, moto busy for {min(share):.0%} of it"
        yield Row("lake in a bucket ÷ in a folder", min(local) / min(remote), target=0.6, note=note)
        for files, name in ((_many(bench), "small"), (20, "large")):
            yield _landed_both(bench, server, files, name)


def _landed_both(bench: Bench, server: S3Server, files: int, name: str) -> Row:
    folder = bench.inputs.objects(SOURCE, files, SMALL_BYTES * _many(bench) // files)
    local, remote = [], []
    with _objects(folder) as source:
        for number in range(bench.repeats):
            local.append(_land(str(bench.lake("folder", geoip=False)), source).own_seconds)
            remote.append(_land(_bucket_lake(bench, server, f"{name}-{number}"), source).own_seconds)
    note = f"listed and landed in {min(local):.1f} s into a folder, in {min(remote):.1f} s into a bucket"
    return Row(f"… landing {files:,} {name} objects", min(local) / min(remote), target=0.6, note=note)


def objects(bench: Bench) -> Iterator[Row]:
    """Small objects beside the same bytes in few, from a folder and from a bucket; growth, and memory."""
    many, few = (
        bench.inputs.objects(SOURCE, _many(bench), SMALL_BYTES),
        bench.inputs.objects(SOURCE, 20, SMALL_BYTES * _many(bench) // 20),
    )
    seconds = {
        path: min(_land(str(bench.lake("objects", geoip=False)), path).own_seconds for _ in range(bench.repeats))
        for path in (str(few), str(many))
    }
    note = f"{seconds[str(many)]:.1f} s and {seconds[str(few)]:.1f} s, {SMALL_BYTES * _many(bench) / 1e6:.0f} MB"
    ratio = seconds[str(many)] / seconds[str(few)]
    yield Row(f"{_many(bench):,} objects ÷ 20, from a folder", ratio, "× the time", 3.0, "less", note)
    yield from _downloaded(bench, many)
    yield from _growth(bench)


def _downloaded(bench: Bench, many: Path) -> Iterator[Row]:
    """Listing and landing ÷ listing and reading alone, of the same objects."""
    bare: dict[str, list[float]] = {"boto3": [], "pyarrow": []}
    own: list[Measured] = []
    with _objects(many) as source:
        endpoint = os.environ[_ENDPOINT]
        for _ in range(bench.repeats):
            for client, taken in bare.items():
                words = ("download", client, endpoint, BUCKET, _AT_ONCE)
                taken.append(job(bench.folder, *words).own_seconds)
            own.append(_land(str(bench.lake("bucket", geoip=False)), source))
    best = min(each.own_seconds for each in own)
    for client, target in (("boto3", 1.3), ("pyarrow", None)):
        note = f"{best:.1f} s and {min(bare[client]):.1f} s, {_AT_ONCE} at once"
        yield Row(f"… from a bucket ÷ bare {client}", best / min(bare[client]), "× the time", target, "less", note)
    yield Row("… peak memory", max(each.peak_bytes for each in own) / GIB, "GiB", 2.0, "less")


def _growth(bench: Bench) -> Iterator[Row]:
    """16 times the objects, from a bucket into a folder."""
    took: dict[int, Measured] = {}
    for files in (_many(bench) // 16, _many(bench)):
        with _objects(bench.inputs.objects(SOURCE, files, SMALL_BYTES)) as source:
            tries = [_land(str(bench.lake("growth", geoip=False)), source) for _ in range(bench.repeats)]
        took[files] = min(tries, key=lambda each: each.own_seconds)
    less, more = took.values()
    note = f"{less.own_seconds:.1f} s, {more.own_seconds:.1f} s"
    note += f"; peak memory {less.peak_bytes / GIB:.2f} and {more.peak_bytes / GIB:.2f} GiB"
    yield Row("16× the objects take", more.own_seconds / less.own_seconds, "× the time", note=note)


def _many(bench: Bench) -> int:
    """10,000 objects in a whole run, fewer in a quick one."""
    return min(10_000, bench.events // 50)


def _land(lake: str, place: str) -> Measured:
    return job(lake, "land", SOURCE, place)


def _way(bench: Bench, lake: str, paths: list[tuple[str, Path]]) -> float:
    landed = sum(job(lake, "land", source, str(path)).own_seconds for source, path in paths)
    built = job(lake, "build").own_seconds
    bench.say(f"{lake}: landed in {landed:.1f} s, built in {built:.1f} s")
    return landed + built


def _bucket_lake(bench: Bench, server: S3Server, name: object) -> str:
    """Return the URL of an empty lake with GeoIP loaded."""
    url = f"s3://{server.bucket()}/{name}"
    bench.load_reference(open_store(url, S3Options(AwsAccess(endpoint_url=server.url), bench.folder / "scratch")))
    return url


@contextmanager
def _moto(bench: Bench) -> Iterator[S3Server]:
    with S3Server() as server:
        given = environment(server.url) | {"HEADWATER_S3__ENDPOINT_URL": server.url}
        with _environment({**given, "HEADWATER_SCRATCH": str(bench.folder / "scratch")}):
            yield server


_ENDPOINT = f"HEADWATER_SOURCES__{SOURCE.upper()}__S3__ENDPOINT_URL"


@contextmanager
def _objects(folder: Path) -> Iterator[str]:
    """Serve a folder as a bucket that the source is read from; give its URL."""
    words = [sys.executable, "-m", "tests.bench.object_server", str(folder)]
    with subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout and server.stdin
        url = server.stdout.readline().strip()
        given = {
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            _ENDPOINT: url,
            f"HEADWATER_SOURCES__{SOURCE.upper()}__ROOT": f"s3://{BUCKET}",
        }
        try:
            with _environment(given):
                yield f"s3://{BUCKET}"
        finally:
            server.stdin.close()


@contextmanager
def _environment(given: dict[str, str]) -> Iterator[None]:
    """Give this process and its children variables, for a while."""
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _cpu_seconds(server: S3Server) -> float:
    times = psutil.Process(server.pid).cpu_times()
    return float(times.user + times.system)
