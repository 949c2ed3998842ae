"""Commands of a copy of the repository without a new Python each: a warm process of the copy forks for every one.

`python warm_commands.py SOCKET` has the copy's code imported, and answers calls at a socket.
`python -IS warm_commands.py SOCKET WORD…` is `headwater WORD…`; a test says `call`.

What belongs here: starting and asking. What does not: which copy, which commands.
"""

import array
import json
import os
import runpy
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

_MODULES = ("dbt.cli.main", "dbt.adapters.duckdb", "orchestration.dbt.run", "orchestration.dbt.plugin", "duckdb")


def call(place: str, words: Sequence[str], cwd: str, environment: Mapping[str, str], outputs: Sequence[int]) -> int:
    """Run `headwater` with these words, or `python -m` where they begin so; return the exit code.

    `outputs`: the file descriptors of its input, its output and its errors.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(place)
        question = json.dumps({"words": list(words), "cwd": cwd, "environment": dict(environment)}).encode()
        handles = array.array("i", outputs)
        connection.sendmsg([len(question).to_bytes(4, "big")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, handles)])
        connection.sendall(question)
        answer = connection.recv(1)
    return answer[0] if answer else 70


@contextmanager
def serving(copy: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """Start the warm process of a copy; yield its socket, at which it answers while the block runs."""
    import subprocess  # not for who asks
    import tempfile

    with tempfile.TemporaryDirectory(prefix="headwater-") as folder:  # the path of a socket may not be long
        words, known = [sys.executable, "-P", __file__, f"{folder}/socket"], {**environment, "PYTHONPATH": str(copy)}
        process = subprocess.Popen(words, cwd=copy, env=known, stdout=subprocess.PIPE)
        assert process.stdout
        try:
            assert process.stdout.readline() == b"ready\n"
            yield f"{folder}/socket"
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def _serve(place: str) -> None:
    import importlib

    for name in _MODULES:
        importlib.import_module(name)
    importlib.import_module("orchestration.cli").load()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(place)
        listening.listen()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            connection, _ = listening.accept()
            with connection:
                length, handles, _, _ = socket.recv_fds(connection, 4, 3)
                with connection.makefile("rb") as asked:
                    question = json.loads(asked.read(int.from_bytes(length, "big")))
                pid = os.fork()
                if not pid:
                    listening.close()
                    _child(question, handles)
                for each in handles:
                    os.close(each)
                code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                connection.sendall(bytes([code if code >= 0 else 70]))


def _child(question: Mapping[str, Sequence[str]], handles: Sequence[int]) -> None:
    for number, each in enumerate(handles):
        os.dup2(each, number)
    os.environ.clear()
    os.environ.update(question["environment"])
    os.chdir(str(question["cwd"]))
    words = question["words"]
    run: Callable[[], object]
    if words[0] == "-m":
        sys.argv = [words[1], *words[2:]]
        run = lambda: runpy.run_module(words[1], run_name="__main__", alter_sys=True)  # noqa: E731
    else:
        from orchestration.cli import main as run

        sys.argv = ["headwater", *words]
    code = 0
    try:
        run()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 1
    for each in (sys.stdout, sys.stderr):
        each.flush()
    os._exit(code)


if __name__ == "__main__":
    if len(sys.argv) == 2:
        _serve(sys.argv[1])
    else:
        sys.exit(call(sys.argv[1], sys.argv[2:], str(Path.cwd()), os.environ, (0, 1, 2)))
