"""A lake in a bucket, its objects in another, and faults between them and Headwater.

Belongs here: the places, and running a command through the proxy. Not here: which faults, and what must hold then.
"""

import gzip
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import botocore.endpoint
import pytest
from botocore.config import Config

import lake.storage.aws
import lake.storage.duck
from orchestration.demo.simulators import s3
from tests.integration import okta_logs
from tests.integration.lakes import Said, headwater
from tests.integration.okta_logs import SOURCE
from tests.integration.s3.lakes import Lake, State
from tests.simulators.faulty_http import Fault, FaultyProxy

IMPATIENCE_SECONDS = 1.0


class Way:
    """The way from a bucket of objects to a lake in a bucket, as commands walk it: through the proxy."""

    def __init__(self, proxy: FaultyProxy, delivered: str, lake: Lake) -> None:
        self.proxy, self.delivered, self.lake = proxy, delivered, lake

    def land(self) -> Said:
        """Land what was delivered."""
        return headwater("land", SOURCE, self.delivered)

    def build(self) -> Said:
        """Build what is stale."""
        return headwater("build", "--source", SOURCE)

    def go(self) -> State:
        """Land and build; everything must go well, and the sheet balance. Return what the lake holds then."""
        for said in (self.land(), self.build(), headwater("balance")):
            assert said.code == 0, said.out + said.err
        return self.lake.state()

    def spoil(self, *faults: Fault) -> list[Fault]:
        """Make faults from now on."""
        return [self.proxy.inject(fault) for fault in faults]


@pytest.fixture(scope="module")
def buckets(s3_server: s3.S3Server, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A bucket with `okta_logs.delivery` in it, gzipped, and one for lakes; their names."""
    source, lakes = s3_server.bucket(), s3_server.bucket()
    folder = okta_logs.delivery(tmp_path_factory.mktemp("delivered"))
    bodies = {f"in/{path.name}.gz": gzip.compress(path.read_bytes(), mtime=0) for path in sorted(folder.iterdir())}
    s3.put_all(s3_server.client(), source, bodies)
    return source, lakes


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients wait for answers for a second only, and hardly between tries: tests wait for nothing longer."""
    patient = lake.storage.aws.config

    def config(access: Any) -> Config:
        return patient(access).merge(Config(read_timeout=IMPATIENCE_SECONDS))

    monkeypatch.setattr("lake.storage.aws.config", config)
    monkeypatch.setattr("lake.storage.duck._TIMEOUT_SECONDS", 1)
    monkeypatch.setattr("lake.storage.duck._RETRY_WAIT_MS", 10)
    monkeypatch.setattr("ingest.transports.bucket_object._FIRST_WAIT_SECONDS", 0.01)
    clock = SimpleNamespace(time=time.time, sleep=lambda seconds: time.sleep(min(seconds, 0.02)))
    monkeypatch.setattr(botocore.endpoint, "time", clock)


@pytest.fixture
def open_way(
    s3_server: s3.S3Server,
    s3_environment: str,
    buckets: tuple[str, str],
    okta_project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[..., Way]]:
    """Make ways to lakes of their own; the environment leads to the newest."""
    proxies: list[FaultyProxy] = []
    monkeypatch.setattr("orchestration.dbt.project.PROJECT", okta_project)
    monkeypatch.setenv("HEADWATER_THREADS", "2")
    monkeypatch.setenv("HEADWATER_SCRATCH", str(tmp_path / "scratch"))
    monkeypatch.delenv("HEADWATER_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)

    def way(prefix: str = "in") -> Way:
        proxies.append(FaultyProxy(s3_server.url).start())
        found = Lake(
            s3_server.client(), buckets[1], f"{tmp_path.name}-{len(proxies)}", tmp_path / f"seen-{len(proxies)}"
        )
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxies[-1].url)
        monkeypatch.setenv("HEADWATER_LAKE", found.url)
        return Way(proxies[-1], f"s3://{buckets[0]}/{prefix}", found)

    yield way
    for proxy in proxies:
        proxy.stop()


@pytest.fixture
def way(open_way: Callable[..., Way], impatient: None) -> Way:
    """A way whose faults are still to come."""
    return open_way()


_STATES: dict[str, tuple[State, State]] = {}


@pytest.fixture
def without_faults(open_way: Callable[..., Way], buckets: tuple[str, str]) -> tuple[State, State]:
    """What a lake holds after landing, and after building, when nothing goes wrong; made once."""
    if buckets[0] not in _STATES:
        way = open_way()
        assert way.land().code == 0
        _STATES[buckets[0]] = way.lake.state(), way.go()
    for state in _STATES[buckets[0]]:
        assert (state.unnamed, state.leftovers) == ([], [])
    return _STATES[buckets[0]]


@pytest.fixture
def landed(without_faults: tuple[State, State]) -> State:
    """What a lake holds after landing."""
    return without_faults[0]


@pytest.fixture
def built(without_faults: tuple[State, State]) -> State:
    """What a lake holds after landing and building."""
    return without_faults[1]
