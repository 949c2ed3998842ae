"""`headwater` works from an installed wheel, in an empty folder, and writes nothing beside its own code."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestration.dbt.manifest import PARSED
from orchestration.dbt.project import load_project
from tests.integration import okta_logs

TOP = Path(__file__).resolve().parents[2]
ROOMS = ("ingest", "lake", "orchestration")
Run = Callable[..., subprocess.CompletedProcess[str]]
WHERE = """
import sys, ingest, lake, orchestration
print(ingest.__file__, lake.__file__, orchestration.__file__, *sys.path, sep="\\n")
"""


@pytest.fixture(scope="module")
def venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that has the wheel, and sees the locked dependencies but not the repository."""
    place = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(place), str(TOP)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = place.glob("headwater-*.whl")
    venv = place / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    install = [*pip, "--python", str(venv / "bin/python"), "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    packages = _packages(venv)
    # Of a folder that a .pth file names, further .pth files are not read: the editable install stays out.
    (packages / "dependencies.pth").write_text(f"{sysconfig.get_paths()['purelib']}\n")
    return venv


@pytest.fixture
def run(venv: Path, tmp_path: Path) -> Run:
    """Run a program of the environment in an empty folder, with nothing of the caller's own settings."""
    own = ("PYTHON", "HEADWATER", "DBT", "DAGSTER", "AWS", "VIRTUAL_ENV")
    bare = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    bare |= {"PYTHONDONTWRITEBYTECODE": "1", "HOME": str(tmp_path / "home")}
    here = tmp_path / "here"
    here.mkdir()

    def program(name: str, *words: object) -> subprocess.CompletedProcess[str]:
        line = [str(venv / "bin" / name), *map(str, words)]
        return subprocess.run(line, cwd=here, env=bare, capture_output=True, text=True)

    return program


def test_what_is_imported_lies_in_the_environment_and_the_repository_cannot_be_imported(venv: Path, run: Run) -> None:
    found = run("python", "-c", WHERE)
    assert 0 == found.returncode, found.stderr
    files, path = found.stdout.splitlines()[: len(ROOMS)], found.stdout.splitlines()[len(ROOMS) :]
    assert [str(_packages(venv) / room / "__init__.py") for room in ROOMS] == files
    assert [] == [each for each in path if each and Path(each).resolve() == TOP]
    assert 0 != run("python", "-c", "import tests").returncode


def test_sources_land_build_and_balance_in_an_empty_folder(venv: Path, run: Run, tmp_path: Path) -> None:
    before = _files(_packages(venv))
    delivered = okta_logs.delivery(tmp_path / "delivered")
    _parsed_before(venv, tmp_path / "home")
    assert okta_logs.SOURCE in [each["source"] for each in _told(run("headwater", "sources", "--json"))]
    assert 0 == run("headwater", "land", okta_logs.SOURCE, delivered).returncode
    built = _told(run("headwater", "build", "--source", okta_logs.SOURCE, "--json"))
    assert 3 == len(built["hours"][okta_logs.SOURCE])
    sheet = _told(run("headwater", "balance", "--json"))
    assert (22, 19, True) == tuple(sheet["total"][name] for name in ("read", "landed", "balanced"))
    assert sheet["total"]["published"] > 0
    assert [".headwater"] == [each.name for each in (tmp_path / "here").iterdir()]
    assert before == _files(_packages(venv))


def _told(done: subprocess.CompletedProcess[str]) -> dict:  # type: ignore[type-arg]
    assert 0 == done.returncode, done.stdout[-2000:] + done.stderr[-4000:]
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def _parsed_before(venv: Path, home: Path) -> None:
    """Put what dbt parsed of the same files where the wheel keeps it: from there it goes on, which saves seconds."""
    name = hashlib.sha256(str(_packages(venv) / "dbt_project").encode()).hexdigest()[:16]
    kept = home / ".cache/headwater" / name
    kept.mkdir(parents=True)
    shutil.copy(load_project().target / PARSED, kept)


def _packages(venv: Path) -> Path:
    return Path(sysconfig.get_path("purelib", vars={"base": str(venv), "platbase": str(venv)}))


def _files(folder: Path) -> dict[str, int]:
    """Return every file with the time at which it was changed."""
    return {str(each): each.stat().st_mtime_ns for each in folder.rglob("*") if each.is_file()}
