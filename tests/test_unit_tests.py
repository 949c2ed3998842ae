"""The modules of unit tests import neither Dagster nor dbt; while they run, tests/unit/conftest.py watches."""

import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).parents[1]
IMPORT = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
print([name for name in ("dagster", "dbt") if name in sys.modules])
"""


def test_the_modules_of_unit_tests_import_neither_dagster_nor_dbt() -> None:
    files = [path for path in (TOP / "tests/unit").rglob("*.py") if path.name.startswith(("test_", "conftest"))]
    names = [".".join(path.relative_to(TOP).with_suffix("").parts) for path in files]
    done = subprocess.run([sys.executable, "-c", IMPORT, *names], cwd=TOP, capture_output=True, text=True, check=False)
    assert (0, "[]") == (done.returncode, done.stdout.strip()), done.stderr[-2000:]
