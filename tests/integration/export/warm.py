"""A warm process whose forked children push one hour and are killed at a chosen act, or after some seconds.

`python -m tests.integration.export.warm SCRATCH` answers each line, a job in JSON, with how its child ended. An act is
a file opened for writing, renamed or removed below a folder, or a request that may change a bucket, as
`tests.crash.zygote` counts them. What DuckDB writes is no act: for that a child is killed after some seconds.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.crash.zygote import _file_acts, _keep_descriptions, _requests
from tests.unit.export.lakes import SmallLake, export

_TOP = Path(__file__).parents[3]


@dataclass(frozen=True)
class Ended:
    """How a push ended: exit code (-9 when killed, 2 for a mismatch), acts, seconds, most memory held, what it said."""

    code: int
    acts: int
    seconds: float
    memory_bytes: int
    said: str


class WarmProcess:
    """The warm process, for all tests of a session."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch

    def __enter__(self) -> Self:
        words = [sys.executable, "-m", __name__, str(self._scratch)]
        pipe, environment = subprocess.PIPE, {**os.environ, "PYTHONPATH": str(_TOP)}
        self._process = subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True, cwd=_TOP, env=environment)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()

    def start(self, job: Mapping[str, Any]) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()

    def kill(self) -> None:
        """Kill the push that is under way."""
        for child in Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split():
            os.kill(int(child), 9)

    def ended(self) -> Ended:
        assert self._process.stdout
        return Ended(**json.loads(self._process.stdout.readline()))


class Warm:
    """Pushes of one export of a lake to one destination, in children of the warm process with this environment.

    `said` are the words of the export, as `tests.unit.export.lakes.export` takes them.
    """

    def __init__(
        self,
        process: WarmProcess,
        lake: SmallLake,
        kind: str,
        options: Mapping[str, Any],
        said: Mapping[str, Any] | None = None,
        memory_bytes: int = 1 << 30,
    ) -> None:
        self._process, self.kill, self.ended = process, process.kill, process.ended
        self._job: dict[str, Any] = {
            "lake": lake.store.url(""),
            "scratch": str(lake.scratch),
            "kind": kind,
            "options": dict(options),
            "said": dict(said or {}),
            "memory": memory_bytes,
        }

    def push(self, hour: str, act: int = 0, seconds: float = 0.0, answered: bool = False, watched: str = "") -> Ended:
        """Push, killed before the act of that number (`answered`: after), or after some seconds, or not.

        `watched` is the folder below which acts count; none: requests to buckets do.
        """
        self.start(hour, act, seconds, answered, watched)
        return self.ended()

    def start(self, hour: str, act: int = 0, seconds: float = 0.0, answered: bool = False, watched: str = "") -> None:
        job = {**self._job, "hour": hour, "act": act, "seconds": seconds, "answered": answered, "watched": watched}
        self._process.start({**job, "environment": dict(os.environ)})


def _child(job: dict[str, Any], counted: Path, said: Path) -> None:
    from lake.export.push import Limits
    from lake.storage.publish import open_store
    from lake.storage.store import AwsAccess, S3Options

    os.environ |= job["environment"]
    acts = _file_acts({**job, "lake": job["watched"]}) if job["watched"] else _requests(job)
    code = 1
    try:
        scratch = Path(job["scratch"])
        lake = SmallLake(open_store(job["lake"], S3Options(AwsAccess(), scratch / "scratch")), scratch)
        there = lake.destination(job["kind"], **job["options"])
        receipt = lake.push(there, export(**job["said"]), job["hour"], Limits(job["memory"]))
        said.write_text(receipt.mismatch)
        code = 0 if receipt.matches else 2
    except BaseException as problem:
        said.write_text(f"{type(problem).__name__}: {problem}")
    finally:
        counted.write_text(str(acts()))
        os._exit(code)


def _serve(scratch: Path) -> None:
    import duckdb  # noqa: F401 - what children need is imported once, here

    import lake.export.destinations.files
    import lake.storage.s3  # noqa: F401

    _keep_descriptions()
    counted, said = scratch / f"acts-{os.getpid()}", scratch / f"said-{os.getpid()}"
    for line in sys.stdin:
        job = json.loads(line)
        counted.write_text("0")
        said.write_text("")
        began = time.monotonic()
        pid = os.fork()
        if pid == 0:
            _child(job, counted, said)
        while not (done := os.wait4(pid, os.WNOHANG))[0]:
            if job["seconds"] and time.monotonic() - began >= job["seconds"]:
                os.kill(pid, 9)
            time.sleep(0.002)
        code, took = os.waitstatus_to_exitcode(done[1]), time.monotonic() - began
        ended = Ended(code, int(counted.read_text()), took, done[2].ru_maxrss * 1024, said.read_text())
        sys.stdout.write(json.dumps(vars(ended)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
