"""SQL that people edit fits on a screen: lines up to 120, models up to about two screens.

sqlfluff looks at lines as well (`make check-sql`), but not within SQL that its grammar cannot read, nor at macros.
"""

from orchestration.settings import PROJECT

FILES = sorted(path for folder in ("models", "macros") for path in (PROJECT / folder).rglob("*.sql"))
WRITTEN = [path for path in FILES if "generated" not in path.relative_to(PROJECT).parts]
LONGEST_LINE = 120
LONGEST_MART = 120
SKIPPED_BY_SQLFLUFF = 20_000  # bytes: it says so in a warning alone


MODELS = [path for path in FILES if path.is_relative_to(PROJECT / "models")]


def test_no_line_is_longer_than_a_screen() -> None:
    long = [
        f"{path.relative_to(PROJECT)}:{number}: {len(line)}"
        for path in WRITTEN
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if len(line) > LONGEST_LINE
    ]
    assert [] == long


def test_sqlfluff_skips_no_model() -> None:
    assert [] == [path for path in MODELS if path.stat().st_size >= SKIPPED_BY_SQLFLUFF]


def test_a_model_of_gold_is_read_on_two_screens() -> None:
    marts = [path for path in MODELS if path.is_relative_to(PROJECT / "models/gold")]
    assert marts
    assert [] == [path for path in marts if len(path.read_text(encoding="utf-8").splitlines()) > LONGEST_MART]
