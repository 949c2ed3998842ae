"""`make docs`: the documentation as a static site in `.headwater/docs/html`. A broken link ends it with an error.

The Markdown files of the repository are its pages, at the same places, so that their links hold in both. dbt's own
docs are one self-contained page beside them. Links that leave the repository are not followed: no network is needed.
"""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from orchestration.settings import PROJECT, TOP

OUT = TOP / ".headwater" / "docs"
SECTIONS = (
    ("Start here", ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    ("Rooms", ("ingest", "lake", "dbt_project", "orchestration")),
    ("Sources", ("ingest/sources",)),
    ("Tests", ("tests",)),
)
COPIED = (".md", ".png", ".svg", ".yml", ".yaml", ".csv", ".example")  # pages, and what pages link to


def main(words: Sequence[str] | None = None) -> int:
    """Build the site; return the exit code: 0, or 1 when a link is broken or dbt cannot describe the project."""
    parser = argparse.ArgumentParser(prog="python -m orchestration.docs.build", description=main.__doc__)
    parser.add_argument("--without-dbt", action="store_true", help="leave out dbt's own docs, which take some seconds")
    asked = parser.parse_args(words)
    shutil.rmtree(OUT, ignore_errors=True)
    pages = stage(OUT / "source")
    (OUT / "source" / "index.md").write_text(index(pages))
    configuration = Path(__file__).parent
    build = [sys.executable, "-m", "sphinx", "--builder", "html", "--fail-on-warning", "--keep-going", "--quiet"]
    code = subprocess.run(
        [*build, "-c", str(configuration), str(OUT / "source"), str(OUT / "html")], check=False
    ).returncode
    if not code and not asked.without_dbt:
        code = dbt_docs(OUT / "html" / "dbt.html")
    sys.stderr.write(f"{len(pages)} pages: {OUT / 'html' / 'index.html'}\n" if not code else "the site was not built\n")
    return int(bool(code))


def stage(folder: Path) -> list[str]:
    """Copy the pages and what they link to; return the pages' paths within the repository, in order."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=TOP,
        capture_output=True,
        text=True,
        check=True,
    )
    files = [each for each in sorted(listed.stdout.splitlines()) if each.endswith(COPIED) and (TOP / each).exists()]
    for each in files:
        (folder / each).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(TOP / each, folder / each)
    return [each for each in files if each.endswith(".md")]


def index(pages: Sequence[str]) -> str:
    """Return the first page: a table of contents by section. A page belongs to the longest section that it fits."""
    places = [place for _, under in SECTIONS for place in under]
    lines = ["# Headwater", ""]
    for title, under in SECTIONS:
        mine = [
            page
            for place in under
            for page in sorted(pages, key=lambda page: (page.count("/"), page))
            if max((each for each in places if _within(page, each)), key=len, default="") == place
        ]
        entries = [page.removesuffix(".md") for page in mine]
        lines += ["```{toctree}", f":caption: {title}", ":maxdepth: 1", "", *entries, "```", ""]
    return "\n".join([*lines, '<a href="dbt.html">dbt: every model and column</a>', ""])


def dbt_docs(page: Path) -> int:
    """Write dbt's docs as one page; return dbt's exit code. No lake is needed: the catalogue is left empty."""
    target = OUT / "dbt"
    place = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT), "--target-path", str(target), "--quiet"]
    dbt, code = str(Path(sys.executable).with_name("dbt")), 0
    for words in (["parse"], ["docs", "generate", "--static", "--empty-catalog", "--no-compile"]):
        code = code or subprocess.run([dbt, *words, *place], check=False).returncode
    if not code:
        shutil.copyfile(target / "static_index.html", page)
    return code


def _within(page: str, place: str) -> bool:
    return page == place or page.startswith(f"{place}/")


if __name__ == "__main__":
    sys.exit(main())
