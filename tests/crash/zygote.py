"""A warm process whose forked children run commands and are killed at a chosen moment.

`python -m tests.crash.zygote` reads one job a line (JSON) and answers each with how its child ended. A child that is to
die at its n-th act kills itself right before it changes the lake for the n-th time (`sys.addaudithook` tells of every
file opened for writing, renamed or removed, and every folder made or removed). Of a lake in a bucket every request that
may change it is an act, and the child dies right before it is sent or right after it was answered. A child that is to
die after some seconds is killed from outside, also in the middle of what DuckDB writes.

What belongs here: starting, counting, killing. What does not: what must hold afterwards (`test_killed`).
"""

import contextlib
import faulthandler
import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from orchestration.demo.simulators.s3 import keep_descriptions as _keep_descriptions

_CHANGES = {"os.rename": (0, 1), "os.remove": (0,), "os.rmdir": (0,), "os.mkdir": (0,)}
_LONGEST = 300  # seconds that a child may take: then it says where it stands, and is killed
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


@dataclass(frozen=True)
class Ended:
    """How a child ended: its exit code (-9 when killed), the acts it counted, the seconds it took, what it said."""

    code: int
    acts: int
    seconds: float
    said: str


class Zygote:
    """The warm process, seen from the tests."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch

    def __enter__(self) -> Self:
        words = [sys.executable, "-m", __name__, str(self._scratch)]
        top = str(Path(__file__).parents[2])
        environment = {**os.environ, "PYTHONPATH": top}
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=top, env=environment
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(30)

    def run(
        self,
        lake: Path | str,
        words: list[str],
        project: Path,
        act: int = 0,
        seconds: float = 0.0,
        answered: bool = False,
        environment: Mapping[str, str] | None = None,
        patched: Mapping[str, object] | None = None,
    ) -> Ended:
        """Run a command on a lake, killed at its `act`-th change of the lake, or after some seconds, or not.

        `answered`: the change of a lake in a bucket is made before the child dies. `patched`: what names of modules
        (`ingest.transports.queue.HIDDEN_SECONDS`) stand for in the child.
        """
        assert self._process.stdin and self._process.stdout
        job = {"lake": str(lake), "words": words, "project": str(project), "act": act, "seconds": seconds}
        job |= {"answered": answered, "environment": dict(environment or {}), "patched": dict(patched or {})}
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        return Ended(**json.loads(self._process.stdout.readline()))


def _child(job: dict[str, Any], said: Path, counted: Path) -> None:
    log = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    faulthandler.enable()
    os.environ |= {"HEADWATER_LAKE": job["lake"], **job["environment"]}
    os.chdir(said.parent)
    import orchestration.dbt.project
    from orchestration.cli import main

    orchestration.dbt.project.PROJECT = Path(job["project"])
    for name, value in job["patched"].items():
        module, _, attribute = name.rpartition(".")
        setattr(importlib.import_module(module), attribute, value)
    acts = _requests(job) if job["lake"].startswith("s3://") else _file_acts(job)
    sys.argv = ["headwater", *job["words"]]
    code = 0
    try:
        main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 99
    sys.stdout.flush()
    sys.stderr.flush()
    counted.with_name("modules").write_text("\n".join(sys.modules))
    counted.with_name("counted").write_text(str(acts()))
    counted.with_name("counted").replace(counted)  # a kill at this moment leaves the old count, not an empty file
    os._exit(code)


def _file_acts(job: dict[str, Any]) -> Callable[[], int]:
    """Count changes of files below the lake, die before one; return the count."""
    acts = 0

    def watch(name: str, arguments: tuple[Any, ...]) -> None:
        nonlocal acts
        if not _changes(name, arguments, job["lake"]):
            return
        acts += 1
        if acts == job["act"]:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    return lambda: acts


def _requests(job: dict[str, Any]) -> Callable[[], int]:
    """Count requests that may change a bucket, die before one is sent or after it is answered; return the count."""
    from botocore.httpsession import URLLib3Session

    send, lock = URLLib3Session.send, threading.Lock()
    acts = 0

    def counted(self: URLLib3Session, request: Any) -> Any:
        nonlocal acts
        if request.method in ("GET", "HEAD"):
            return send(self, request)
        with lock:
            acts += 1
            mine = acts == job["act"]
        if mine and not job["answered"]:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = send(self, request)
        if mine:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    URLLib3Session.send = counted
    return lambda: acts


def _changes(name: str, arguments: tuple[Any, ...], lake: str) -> bool:
    if name == "open":
        path, mode, flags = arguments
        writes = any(each in mode for each in "wax+") if mode else bool((flags or 0) & _WRITING)
        return writes and isinstance(path, str | os.PathLike) and os.fspath(path).startswith(lake)
    return any(str(arguments[at]).startswith(lake) for at in _CHANGES.get(name, ()))


def _answer(job: dict[str, Any], scratch: Path) -> Ended:
    said, counted = scratch / "said", scratch / "acts"
    counted.write_text("0")
    began = time.monotonic()
    pid = os.fork()
    if pid == 0:
        _child(job, said, counted)
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        took = time.monotonic() - began
        if done:
            code = os.waitstatus_to_exitcode(status)
            _learn(scratch / "modules")
            return Ended(code, int(counted.read_text()), took, said.read_text(errors="replace"))
        if job["seconds"] and took >= job["seconds"]:
            os.kill(pid, signal.SIGKILL)
        elif took >= _LONGEST:
            os.kill(pid, signal.SIGABRT)
            time.sleep(1)
        time.sleep(0.005)


def _learn(modules: Path) -> None:
    """Import what a child imported that ran to its end: those after it need not."""
    for name in modules.read_text().splitlines() if modules.exists() else ():
        if name not in sys.modules:
            with contextlib.suppress(Exception):
                importlib.import_module(name)
    modules.unlink(missing_ok=True)


def _serve(scratch: Path) -> None:
    import dbt.adapters.duckdb
    import dbt.cli.main  # noqa: F401 - what children need is imported once, here

    import lake.storage.s3  # noqa: F401
    import orchestration.cli
    import orchestration.dbt.plugin
    import orchestration.dbt.run
    from ingest.contracts import load_contracts
    from lake.ocsf.attributes import declared_classes
    from orchestration.dbt.project import load_project

    _keep_descriptions()
    load_contracts(), declared_classes(), orchestration.cli.load()
    gc.freeze()  # what was imported is there to the end: no child looks through it for garbage
    gc.set_threshold(50_000, 20, 20)
    for line in sys.stdin:
        job = json.loads(line)
        if job["words"][0] == "build":
            load_project(Path(job["project"])).dbt_manifest()  # parsed here, children need not
        ended = _answer(job, scratch)
        sys.stdout.write(json.dumps(vars(ended)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
