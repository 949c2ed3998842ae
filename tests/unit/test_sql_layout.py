"""SQL that people edit fits on a screen: lines up to 120, models up to about two screens.

sqlfluff looks at lines as well (`make check-sql`), but not within SQL that its grammar cannot read, nor at macros.
"""

from pathlib import Path

import pytest

from orchestration.settings import PROJECT

FILES = sorted(path for folder in ("models", "macros") for path in (PROJECT / folder).rglob("*.sql"))
WRITTEN = [path for path in FILES if "generated" not in path.relative_to(PROJECT).parts]
LONGEST_LINE = 120
LONGEST_MART = 120
SKIPPED_BY_SQLFLUFF = 20_000  # bytes: it says so in a warning alone


def name(path: Path) -> str:
    """The file as somebody looks for it."""
    return str(path.relative_to(PROJECT))


@pytest.mark.parametrize("path", WRITTEN, ids=name)
def test_no_line_is_longer_than_a_screen(path: Path) -> None:
    lines = enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    assert [] == [f"line {number}: {len(line)}" for number, line in lines if len(line) > LONGEST_LINE]


@pytest.mark.parametrize("path", [path for path in FILES if path.is_relative_to(PROJECT / "models")], ids=name)
def test_sqlfluff_skips_no_model(path: Path) -> None:
    assert path.stat().st_size < SKIPPED_BY_SQLFLUFF


@pytest.mark.parametrize("path", sorted((PROJECT / "models/gold").rglob("*.sql")), ids=name)
def test_a_model_of_gold_is_read_on_two_screens(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_MART
