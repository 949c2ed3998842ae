"""A process that has dbt imported and the project parsed, so that trying an edit takes seconds.

The first call starts it, it answers calls of its user one by one over a socket, and ends when none has come for
`warm_seconds` of the settings. It belongs to one working folder, one environment and one state of the product's code.
"""

import hashlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from lake.base.errors import NEEDS_A_LOOK, HeadwaterError
from orchestration.settings import PROJECT, TOP, load_settings, open_lake

try:
    import fcntl
except ImportError:  # pragma: no cover - there the calls are made in the process that asks
    fcntl = None  # type: ignore[assignment]

_MADE_BY = ("ingest", "lake", "orchestration")
_OF_ENVIRONMENT = ("HEADWATER_", "DBT_", "AWS_")
_START_SECONDS = 30
STEPS = {"preview": 4, "test": 3}  # that are told of a call; the last one of tests counts these instead


Told = Callable[[str, int, int], None]  # what is done, how much of it, of how much


def call(name: str, told: Told, /, **arguments: Any) -> Any:
    """Return what a call gives, as plain values: `preview` or `test`, see `orchestration.dbt.preview`.

    Raises:
        HeadwaterError: what the call itself raises.
        SettingsError: the settings cannot be used.
    """
    told("starting dbt: step", 1, STEPS[name])
    seconds = load_settings().warm_seconds
    answer = _asked(name, arguments, seconds, told) if seconds and fcntl is not None else None
    if answer is None:
        return _made(name, arguments, told)
    if "bug" in answer:
        raise RuntimeError(f"in the warm process:\n{answer['bug']}")
    if "error" in answer:
        raise type(answer["kind"], (HeadwaterError,), {"exit_code": answer["exit_code"]})(answer["error"])
    return answer["value"]


def _made(name: str, arguments: Mapping[str, Any], told: Told) -> Any:
    from orchestration.dbt.preview import preview, run_unit_tests

    settings = load_settings()
    functions: dict[str, Callable[..., Any]] = {"preview": preview, "test": run_unit_tests}
    return msgspec.to_builtins(functions[name](settings, open_lake(settings), told=told, **arguments), enc_hook=str)


def _asked(name: str, arguments: Mapping[str, Any], seconds: float, told: Told) -> dict[str, Any] | None:
    """Return the answer of the warm process, which is started when there is none; None when it cannot be had."""
    place = _place()
    if place is None:
        return None
    question = json.dumps({"call": name, "arguments": arguments}).encode() + b"\n"
    for _ in range(2):
        connection = _connected(place) or _started(place, seconds)
        if connection is None:
            return None
        with connection, suppress(OSError):
            connection.sendall(question)
            with connection.makefile("rb") as answers:
                while line := answers.readline():
                    answer = dict(json.loads(line))
                    if "told" not in answer:
                        return answer
                    told(*answer["told"])
    return None  # it ended at that very moment, twice


def _place() -> Path | None:
    """Return the socket's path: in a folder that is the user's own, by what the process depends on."""
    folder = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir(), f"headwater-{os.getuid()}")
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700, parents=True)
    held = folder.lstat()
    if held.st_uid != os.getuid() or held.st_mode & 0o77 or not folder.is_dir():
        return None
    given = sorted((name, value) for name, value in os.environ.items() if name.startswith(_OF_ENVIRONMENT))
    files = sorted((str(file), file.stat().st_mtime_ns) for room in _MADE_BY for file in (TOP / room).rglob("*.py"))
    made = json.dumps([sys.executable, str(Path.cwd()), str(PROJECT), given, files])
    return folder / f"{hashlib.sha256(made.encode()).hexdigest()[:16]}.socket"


def _connected(place: Path) -> socket.socket | None:
    found = socket.socket(socket.AF_UNIX)
    try:
        found.connect(str(place))
    except OSError:
        found.close()
        return None
    return found


def _started(place: Path, seconds: float) -> socket.socket | None:
    words = [sys.executable, "-m", __name__, str(place), str(seconds)]
    with place.with_suffix(".log").open("w") as log:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=_environment()
        )
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until:
        if (found := _connected(place)) is not None:
            return found
        if process.poll() not in (None, 0):  # 0: another one was started at the same moment
            return None
        time.sleep(0.02)
    return None


def _environment() -> dict[str, str]:
    """Return this process's environment; the code that is imported there is the one that is imported here."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(TOP), os.environ.get("PYTHONPATH", "")]))}


def main(place: Path, seconds: float) -> None:
    """Answer calls until none has come for some seconds."""
    with place.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return
        with suppress(FileNotFoundError):
            place.unlink()
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(place))
            listening.listen()
            listening.settimeout(seconds)
            try:
                while True:
                    connection, _ = listening.accept()
                    with connection, suppress(OSError):
                        _answer(connection)
            except TimeoutError:
                pass
            finally:
                for file in (place, place.with_suffix(".log"), place.with_suffix(".lock")):
                    file.unlink(missing_ok=True)


def _answer(connection: socket.socket) -> None:
    import duckdb  # not needed by those who ask

    connection.settimeout(None)
    with connection.makefile("rb") as asked:
        if not (line := asked.readline()):
            return  # whoever asked is gone
        question = json.loads(line)

    def told(*what: str | int) -> None:
        connection.sendall(json.dumps({"told": what}).encode() + b"\n")

    try:
        answer = {"value": _made(question["call"], question["arguments"], told)}
    except (HeadwaterError, duckdb.Error, OSError) as problem:
        code = problem.exit_code if isinstance(problem, HeadwaterError) else NEEDS_A_LOOK
        answer = {"error": str(problem), "kind": type(problem).__name__, "exit_code": code}
    except Exception:
        answer = {"bug": traceback.format_exc()}
    connection.sendall(json.dumps(answer, default=str).encode() + b"\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
