"""A copy of the repository whose commands begin in a warm process: to import dbt takes each of them four seconds.

`python started.py SOCKET` imports what commands need, from PYTHONPATH, and forks a child for each call that comes: with
the caller's words, folder, environment and open files. It ends with whoever started it.

What belongs here: starting commands of a copy. Not here: what is copied, and commands that are to be killed (see
`tests.crash.zygote`).
"""

import gc
import json
import os
import runpy
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CLIENT = """
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as called:
    called.connect({path!r})
    job = {{"words": sys.argv[1:], "folder": os.getcwd(), "environment": dict(os.environ)}}
    socket.send_fds(called, [json.dumps(job).encode() + b"\\n"], [0, 1, 2])
    sys.exit(int(called.recv(9) or 99))
"""


@contextmanager
def started(top: Path) -> Iterator[list[str]]:
    """Serve the commands of a copy. Yields what a call begins with: `headwater`'s words follow, or `-m`, a module…"""
    with tempfile.TemporaryDirectory() as folder:  # short: a socket's path has 107 letters
        path, client = Path(folder) / "socket", Path(folder) / "client.py"
        client.write_text(CLIENT.format(path=str(path)))
        words = [sys.executable, __file__, str(path)]
        environment = {**os.environ, "PYTHONPATH": str(top)}
        with subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=folder, env=environment
        ) as server:
            assert server.stdout and server.stdin
            assert server.stdout.readline() == b"ready\n"
            yield [sys.executable, "-S", "-E", str(client)]
            server.stdin.close()


def _serve(path: str) -> None:
    import dbt.adapters.duckdb
    import dbt.cli.main  # noqa: F401 - what children need is imported once, here; nothing of the copy is read yet

    import orchestration.cli
    import orchestration.dbt.plugin
    import orchestration.dbt.run

    orchestration.cli.load()
    gc.freeze()  # what was imported is there to the end: no child looks through it for garbage
    gc.set_threshold(50_000, 20, 20)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        threading.Thread(target=lambda: (os.read(0, 1), os._exit(0)), daemon=True).start()
        os.write(1, b"ready\n")
        while True:
            called, _ = listening.accept()
            with called:
                data, files, *_ = socket.recv_fds(called, 1 << 16, 3)
                while not data.endswith(b"\n"):
                    data += called.recv(1 << 16)
                pid = os.fork()
                if pid == 0:
                    _run(json.loads(data), files)
                for each in files:
                    os.close(each)
                called.send(b"%d" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def _run(job: dict, files: list[int]) -> None:
    """Be the command that was called."""
    for stream, each in enumerate(files):
        os.dup2(each, stream)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", buffering=1)  # noqa: SIM115
    os.chdir(job["folder"])
    os.environ.clear()
    os.environ.update(job["environment"])
    code: object = 0
    try:
        if job["words"][0] == "-m":
            sys.argv = job["words"][1:]
            runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        else:
            sys.argv = ["headwater", *job["words"]]
            sys.modules["orchestration.cli"].main()
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)


if __name__ == "__main__":
    sys.path.pop(0)  # of this file: the copy's modules are found by PYTHONPATH
    _serve(sys.argv[1])
