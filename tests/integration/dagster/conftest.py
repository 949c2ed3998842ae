"""A trail with a queue, whole and behind a proxy that denies."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestration.demo.simulators.s3 import S3Server
from tests.integration.dagster.announcing import Announcing
from tests.integration.dagster.test_collecting_from_buckets import at
from tests.simulators.faulty_http import Fault, FaultyProxy


@pytest.fixture
def trail(tmp_path: Path, s3_server: S3Server, s3_environment: str) -> Announcing:
    return Announcing(tmp_path, s3_server, s3_environment)


@pytest.fixture
def denying(tmp_path: Path, s3_server: S3Server, s3_environment: str) -> Iterator[tuple[Announcing, FaultyProxy, str]]:
    """Three objects are announced, of which one may not be read; the way to it, and its name."""
    with FaultyProxy(s3_server.url) as proxy:
        trail = Announcing(tmp_path, s3_server, proxy.url)
        keys = [trail.deliver(at(minute), uid) for minute, uid in ((5, "a"), (6, "secret"), (7, "c"))]
        for key in keys:
            trail.announce(key)
        proxy.inject(Fault("error", "GET", "_secret", status=403, code="AccessDenied", times=None))
        yield trail, proxy, f"s3://{trail.bucket}/{keys[1]}"
