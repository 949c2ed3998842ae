"""A condition only looks at the row: whatever else SQL can do is refused, in one line."""

import pytest

from lake.base.sql import at_hand
from lake.query.condition import BadCondition, condition

COLUMNS = [
    ("_raw", "VARCHAR"),
    ("actor", "STRUCT(id VARCHAR, tags VARCHAR[])"),
    ("count", "BIGINT"),
    ("_event_at", "TIMESTAMP"),
]


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("actor.id = 'ann@example.com'", ("actor",)),
        ("_raw like '%ann%' or count between 1 and 2", ("_raw", "count")),
        ("actor.id in ('a', 'b') and not (count is null)", ("actor", "count")),
        ("len(list_filter(actor.tags, lambda tag: tag = 'x')) > 0", ("actor",)),
        ("json_extract_string(_raw, '$.a') ilike 'x%' -- of a", ("_raw",)),
        ("case when count > 1 then _raw ~ 'a.*' else false end", ("_raw", "count")),
        ("_event_at < timestamp '2026-01-01' and lower(actor.id) = 'a'", ("_event_at", "actor")),
        ("_raw like '10!%' escape '!'", ("_raw",)),
    ],
)
def test_an_expression_over_columns_is_taken(text: str, columns: tuple[str, ...]) -> None:
    found = condition(text)
    assert found.columns == columns
    with at_hand() as con:
        assert found.fits(con, COLUMNS) == ""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("true) or (true", "cannot be read"),
        ("1; drop table x", "cannot be read"),
        ("_raw = 'x' /* and", "cannot be read"),
        ("", "cannot be read"),
        ("_raw = 'x' from secrets", "more than an expression"),
        ("_raw = 'x', true", "more than an expression"),
        ("_raw = 'x' limit 1", "more than an expression"),
        ("_raw in (select content from read_text('/etc/passwd'))", "subquery"),
        ("exists (select 1)", "subquery"),
        ("count(*) over () > 1", "window"),
        ("_raw = $1", "parameter"),
        ("#1 = 'x'", "positional_reference"),
        ("columns(*) is null", "star"),
        ("current_setting('s3_secret_access_key') like 'A%'", "current_setting"),
        ("getenv('HOME') = _raw", "getenv"),
        ("random() < 0.5", "random"),
        ("_event_at < now()", "now"),
        ("sum(count) > 1", "sum"),
        ("other.lower(_raw) = 'x'", "lower"),
        ("true", "looks at no column"),
    ],
)
def test_anything_else_is_refused(text: str, why: str) -> None:
    with pytest.raises(BadCondition, match=why):
        condition(text)


@pytest.mark.parametrize(
    ("text", "why"), [("nobody = 'x'", "nobody"), ("actor.id", "VARCHAR"), ("actor.email = 'x'", "email")]
)
def test_a_condition_that_does_not_fit_a_table_says_why(text: str, why: str) -> None:
    with at_hand() as con:
        assert why in condition(text).fits(con, COLUMNS)


def test_a_comment_at_the_end_takes_nothing_along() -> None:
    with at_hand() as con:
        row = con.execute(f"select 1 where {condition('x = 1 -- or').sql.replace('x = 1', '2 = 1')}").fetchone()
    assert row is None
