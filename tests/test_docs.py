"""The documents are true: every command is explained, every named file exists, nothing names one machine."""

import importlib.util
import re
import subprocess
from pathlib import Path

import pytest
import typer

TOP = Path(__file__).parents[1]
README = (TOP / "README.md").read_text() + (TOP / "orchestration/README.md").read_text()
DOCUMENTS = [TOP / "README.md", TOP / "CONTRIBUTING.md", *sorted(TOP.glob("*/README.md"))]


def commands() -> list[str]:
    from orchestration.cli import app, load

    load()
    group = typer.main.get_command(app)
    return sorted(group.commands)  # type: ignore[attr-defined]


def test_the_readme_is_short() -> None:
    assert len((TOP / "README.md").read_text().splitlines()) <= 150


def test_every_command_is_in_the_readme() -> None:
    assert [] == [name for name in commands() if f"`headwater {name}" not in README]


def test_every_command_that_the_documents_call_exists() -> None:
    called = {name for text in DOCUMENTS for name in re.findall(r"headwater ([a-z]+)\b", text.read_text())}
    assert set() == {name for name in called if f"headwater {name}" in README} - set(commands()) - {"land"}


def test_every_target_that_the_documents_make_exists() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (TOP / "Makefile").read_text(), re.MULTILINE))
    called = {
        name
        for text in DOCUMENTS
        for name in re.findall(r"(?:^|[`$;&] ?)make ([a-z][a-z0-9-]*)", text.read_text(), re.MULTILINE)
    }
    assert {"demo", "test"} <= called
    assert set() == called - targets


def test_every_module_that_the_documents_run_exists() -> None:
    called = {name for text in DOCUMENTS for name in re.findall(r"python -m ((?:\w+\.)*\w+)", text.read_text())}
    ours = {name for name in called if (TOP / name.split(".")[0]).is_dir()}
    assert set() == {name for name in ours if not importlib.util.find_spec(name)}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(TOP)))
def test_links_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", document.read_text())
    assert [] == [link for link in links if not (document.parent / link).exists()]


def test_make_help_names_every_target() -> None:
    makefile = (TOP / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony
    shown = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=TOP, capture_output=True, text=True, check=True
    )
    assert [] == [name for name in phony[1].split() if f"make {name} " not in shown.stdout]


def test_no_tracked_file_names_a_package_index_or_a_machine() -> None:
    hosts = "|".join(("py" + r"pi\.org", "pythonhosted" + r"\.org", "registry\\.npm" + "js", "deb\\.deb" + "ian"))
    places = r"(^|[^A-Za-z0-9_.])/(wo" + r"rk|fa" + r"rm|ro" + r"ot|tmp/bash_jobs)/"
    for pattern in (hosts, places):
        found = subprocess.run(["git", "grep", "-InE", pattern], cwd=TOP, capture_output=True, text=True, check=False)
        assert "" == found.stdout


def test_the_lock_has_hashes_and_no_index() -> None:
    lock = (TOP / "requirements.lock").read_text()
    assert "--index-url" not in lock
    pinned = re.findall(r"^([A-Za-z0-9_.-]+)==", lock, re.MULTILINE)
    assert len(pinned) > 50
    assert len(re.findall(r"--hash=sha256:", lock)) >= len(pinned)
