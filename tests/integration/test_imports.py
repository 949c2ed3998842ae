"""Importing everything does nothing: no network, no secret, no lake."""

import os
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
IMPORT_ALL = """
import importlib, pkgutil, socket

def refuse(*_, **__):
    raise AssertionError("importing code touched the network")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = socket.create_connection = refuse
elsewhere = {"bqemulator", "fakesnow"}  # installed for the counterparts' own processes alone
count = 0
for room in ("lake", "ingest", "orchestration"):
    package = importlib.import_module(room)
    for module in pkgutil.walk_packages(package.__path__, room + "."):
        if not module.name.endswith("__main__"):
            try:
                importlib.import_module(module.name)
            except ModuleNotFoundError as problem:
                assert problem.name.split(".")[0] in elsewhere, problem
            count += 1
print(count)
"""


def test_importing_everything_needs_no_network_no_secret_and_no_lake(tmp_path: Path) -> None:
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("HEADWATER", "DAGSTER", "DBT"))}
    bare |= {"PYTHONPATH": str(TOP), "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", IMPORT_ALL], cwd=tmp_path, env=bare, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout.split()[-1]) > 100
    assert [path.name for path in tmp_path.iterdir() if "headwater" in path.name] == []
