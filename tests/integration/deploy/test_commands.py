"""What the containers run is run here: code location, web server and daemon come up and say that they are healthy.

On loopback, on free ports, with the instance of `dagster.yaml` on SQLite instead of Postgres.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest
import yaml

from tests.unit.deploy.test_files import COMPOSE, DEPLOY, HELM, INSTANCE, TOP, given

PATIENCE_SECONDS = 240  # on a machine that does much else; what does not come up ends the test earlier


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """DAGSTER_HOME with the committed instance; what needs the network's other side is replaced."""
    home = tmp_path_factory.mktemp("home")
    instance = {name: value for name, value in INSTANCE.items() if name != "storage"}
    instance["storage"] = {"sqlite": {"base_dir": str(home / "storage")}}
    instance["compute_logs"] = {**instance["compute_logs"], "config": {"base_dir": str(home / "logs")}}
    (home / "dagster.yaml").write_text(yaml.safe_dump(instance))
    (home / "headwater.yml").write_text("lake: lake\n")
    return home


@pytest.fixture(scope="module")
def environment(home: Path) -> dict[str, str]:
    """Of a container: no settings of the machine, and this Python's commands."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("HEADWATER_", "DAGSTER_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return plain | {"PATH": path, "DAGSTER_HOME": str(home), "HEADWATER_CONFIG": str(home / "headwater.yml")}


def free_port() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return str(taken.getsockname()[1])


def here(words: list[str], ports: dict[str, str], workspace: Path | None = None) -> list[str]:
    """A container's command, on this machine: loopback, other ports, the workspace's place."""
    found = ["127.0.0.1" if word == "0.0.0.0" else ports.get(word, word) for word in words]
    found = [re.sub(r"127\.0\.0\.1:(\d+)", lambda at: f"127.0.0.1:{ports[at[1]]}", word) for word in found]
    return [str(workspace) if workspace and word.endswith("/workspace.yaml") else word for word in found]


@contextmanager
def running(words: list[str], environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command beside the test; end it, with what it started, when the block ends."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            words, cwd=TOP, env=environment, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            yield process
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def answers(port: str) -> Callable[[], bool]:
    """Whether something listens on a port of this machine."""

    def asked() -> bool:
        with socket.socket() as found:
            return found.connect_ex(("127.0.0.1", int(port))) == 0

    return asked


def healthy(
    check: list[str],
    process: subprocess.Popen[bytes],
    environment: dict[str, str],
    log: Path,
    up: Callable[[], bool],
) -> bool:
    """Ask a container's health check until it answers yes, a Python of its own each time: not before it may be `up`."""
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            pytest.fail(f"ended with {process.returncode}:\n{log.read_text()[-3000:]}")
        if not up():
            time.sleep(0.1)
            continue
        if 0 == subprocess.run(check, env=environment, cwd=TOP, capture_output=True, check=False).returncode:
            return True
        time.sleep(1)
    pytest.fail(f"not healthy after {PATIENCE_SECONDS} s:\n{log.read_text()[-3000:]}")


@pytest.fixture(scope="module")
def code(home: Path, environment: dict[str, str]) -> Iterator[str]:
    """The code location by the image's own command and health check; its port."""
    port = free_port()
    command = here(json.loads(given("CMD")[0]), {"4000": port})
    check = here(json.loads(given("HEALTHCHECK")[0].split("CMD", 1)[1]), {"4000": port})
    with running(command, environment, home / "code.log") as process:
        assert healthy(check, process, environment, home / "code.log", answers(port))
        yield port


@pytest.fixture(scope="module")
def workspace(home: Path, code: str) -> Path:
    """The committed workspace, with the code location of this machine."""
    loaded = yaml.safe_load((DEPLOY / "workspace.yaml").read_text())
    loaded["load_from"][0]["grpc_server"] |= {"host": "127.0.0.1", "port": int(code)}
    (home / "workspace.yaml").write_text(yaml.safe_dump(loaded))
    return home / "workspace.yaml"


def test_the_images_self_check_passes(environment: dict[str, str]) -> None:
    [check] = [part.strip() for run in given("RUN") for part in run.split("&&") if "deploy.ready" in part]
    done = subprocess.run(check.split(), cwd=TOP, env=environment, capture_output=True, text=True, check=False)
    assert (0, "") == (done.returncode, done.stderr if done.returncode else "")
    assert re.search(r"ready: \d+ assets, extensions httpfs, avro, iceberg", done.stdout)


def test_dagster_takes_the_instance(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with dg.DagsterInstance.get() as instance:
        assert not instance.telemetry_enabled and instance.run_monitoring_enabled and instance.run_retries_enabled
        told = instance.get_concurrency_config()
        assert 1 == told.pool_config.default_pool_limit and "run" == told.pool_config.pool_granularity.value
        assert told.run_queue_config and 4 == told.run_queue_config.max_concurrent_runs


def test_the_web_server_comes_up_and_shows_the_code_location(
    home: Path, environment: dict[str, str], workspace: Path
) -> None:
    service, ports = COMPOSE["services"]["webserver"], {"3000": free_port()}
    log = home / "webserver.log"
    with running(here(service["command"], ports, workspace), environment, log) as process:
        check = here(service["healthcheck"]["test"][1:], ports)
        assert healthy(check, process, environment, log, answers(ports["3000"]))
        asked = (
            "import json, urllib.request as web; q = '{ workspaceOrError { ... on Workspace { locationEntries"
            " { name locationOrLoadError { __typename } } } } }';"
            f"r = web.Request('http://127.0.0.1:{ports['3000']}/graphql', json.dumps(dict(query=q)).encode(),"
            " {'Content-Type': 'application/json'}); print(web.urlopen(r, timeout=120).read().decode())"
        )
        told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout
    [entry] = json.loads(told)["data"]["workspaceOrError"]["locationEntries"]
    assert {"name": "headwater", "locationOrLoadError": {"__typename": "RepositoryLocation"}} == entry


def test_the_daemon_comes_up_and_beats(home: Path, environment: dict[str, str], workspace: Path) -> None:
    service, log = COMPOSE["services"]["daemon"], home / "daemon.log"
    with (
        running(here(service["command"], {}, workspace), environment, log) as process,
        dg.DagsterInstance.from_config(str(home)) as instance,
    ):
        needed = set(instance.get_required_daemon_types())
        check = service["healthcheck"]["test"][1:]
        assert healthy(check, process, environment, log, lambda: needed <= set(instance.get_daemon_heartbeats()))
    assert "Traceback" not in log.read_text()


def test_dagster_takes_the_instance_that_the_chart_writes(tmp_path: Path) -> None:
    daemon = HELM["dagsterDaemon"]
    queued = daemon["runCoordinator"]["config"]["queuedRunCoordinator"]
    limit = {"max_concurrent_runs": queued["maxConcurrentRuns"]} if queued["maxConcurrentRuns"] else {}
    written = {
        "run_coordinator": {
            "module": "dagster.core.run_coordinator",
            "class": daemon["runCoordinator"]["type"],
            "config": limit,
        },
        "run_retries": {"enabled": True, "max_retries": daemon["runRetries"]["maxRetries"]},
        "retention": {
            name: {"purge_after_days": HELM["retention"][name]["purgeAfterDays"]} for name in ("sensor", "schedule")
        },
        **HELM["additionalInstanceConfig"],
    }
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(written))
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        told = instance.get_concurrency_config()
        assert 1 == told.pool_config.default_pool_limit
        assert told.run_queue_config and 10 == told.run_queue_config.max_concurrent_runs
