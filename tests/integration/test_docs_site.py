"""The documentation site: a broken link between its pages ends its building."""

import shutil
from pathlib import Path

import pytest

from orchestration.docs import build


def test_the_site_has_every_page_and_no_broken_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "OUT", tmp_path)
    assert build.main(["--without-dbt"]) == 0
    for page in ("index", "README", "lake/README", "ingest/sources/okta_system_log/FIELDS"):
        assert (tmp_path / "html" / f"{page}.html").exists(), page


def test_a_broken_link_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = tmp_path / "pages"
    pages.mkdir()
    (pages / "README.md").write_text("# One\n\n[another](missing.md), [a heading](#nowhere)\n")
    monkeypatch.setattr(build, "OUT", tmp_path / "out")
    monkeypatch.setattr(build, "stage", lambda folder: shutil.copytree(pages, folder) and ["README.md"])
    assert build.main(["--without-dbt"]) == 1
