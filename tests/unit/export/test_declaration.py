"""What analysts declare beside a model: its shape, its errors in one line, and when hours count as declared anew."""

import pytest

from lake.export.declaration import Export, exports_of, plain, unique
from lake.export.errors import BadDeclaration
from lake.ledger.published_tables import TableName
from tests.unit.export.lakes import export


def test_a_class_a_sources_part_of_it_and_gold_are_told_apart_by_layer_and_name() -> None:
    named = {
        (model, layer): next(exports_of(model, layer, {"destinations": ["siem"]}))
        for model, layer in (("authentication", "silver"), ("authentication__okta", "silver"), ("fct__logons", "gold"))
    }
    assert [
        (TableName("silver", "authentication"), "", "siem/authentication"),
        (TableName("silver", "authentication"), "okta", "siem/authentication__okta"),
        (TableName("gold", "fct__logons"), "", "siem/fct__logons"),
    ] == [(each.held, each.source, str(each)) for each in named.values()]


def test_several_entries_and_destinations_make_an_export_each() -> None:
    said = [{"destinations": ["b", "a"]}, {"destinations": ["a"], "table": "failures", "filter": "status_id = 2"}]
    found = unique(list(exports_of("authentication", "silver", said)))
    assert ["a/authentication", "a/failures", "b/authentication"] == [str(each) for each in found]


def test_two_exports_that_would_fill_one_table_are_refused_by_both_names() -> None:
    rivals = [export(table="logons"), export("account_change", table="logons")]
    with pytest.raises(BadDeclaration, match="authentication and account_change both export to there/logons"):
        unique(rivals)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("siem", "expected `array`"),
        (None, "expected `array`"),
        ({}, "missing required field `destinations`"),
        ({"destinations": []}, "expected at least one name under `destinations`"),
        ({"destinations": ["a"], "colums": ["x"]}, "unknown field `colums`"),
        ({"destinations": ["../a"]}, r"'\.\./a' cannot be a name"),
        ({"destinations": ["a"], "table": "x/y"}, "'x/y' cannot be a name"),
        ({"destinations": ["a"], "table": "x'; drop"}, "cannot be a name"),
        ({"destinations": ["a"], "columns": ["x"], "without": ["y"]}, "`columns` and `without` cannot both be given"),
        ({"destinations": ["a"], "key": ['day" || "x']}, "key: .* is no column, or field of one"),
        (
            {"destinations": ["a"], "reduction": {"sample": {"share": 1.5}}},
            r"sample\.share 1\.5 is not between 0 and 1",
        ),
        ({"destinations": ["a"], "reduction": {"sample": {"share": float("nan")}}}, "is not between 0 and 1"),
        ({"destinations": ["a"], "reduction": {"aggregate": {"by": []}}}, "expected at least one column"),
        ({"destinations": ["a"], "reduction": {"aggregate": {"by": ["a b"]}}}, "'a b' is no column, or field of one"),
        ({"destinations": ["a"], "columns": ["x"], "reduction": {"aggregate": {"by": ["x"]}}}, "an aggregate has the"),
        (
            {"destinations": ["a"], "reduction": {"aggregate": {"by": ["x"], "sum": ["Count"]}}},
            "'count': the rows of a",
        ),
        ({"destinations": ["a"], "reduction": {"aggregate": {"by": ["x", "time_dt"]}}}, "'time_dt': the rows of a min"),
        ({"destinations": ["a"], "reduction": {"aggregate": {"by": ["x.y", "x"]}}}, "'x' and 'x.y' would be in one pl"),
        ({"destinations": ["a"], "reduction": {"aggregate": {"by": ["x"], "sum": ["x.y"]}}}, "would be in one place"),
        ({"destinations": ["a"], "reduction": {"aggregate": {"by": ["x"], "sum": ["X"]}}}, "would be in one place"),
    ],
)
def test_what_is_wrong_is_told_in_one_line_that_names_the_model(said: object, told: str) -> None:
    with pytest.raises(BadDeclaration, match=rf"^authentication: meta\.exports(\[0\])?: [^\n]*{told}[^\n]*$"):
        list(exports_of("authentication", "silver", said))


@pytest.mark.parametrize(
    "expression",
    [
        "status_id = 2); drop table held; --",
        "status_id = 2; select 1",
        "status_id = 2) or (true",
        "time_dt > now()",
        "random() < 0.1 and status_id = 2",
        "message in (select content from read_text('secrets'))",
        "getenv('HOME') = message",
        "message = current_setting('home_directory')",
        "count(*) over () > 1 and status_id = 1",
        "sum(status_id) > 1",
        "",
    ],
)
@pytest.mark.parametrize("place", ["filter", "drop", "where"])
def test_an_expression_looks_at_its_row_alone(expression: str, place: str) -> None:
    """No other statement, file, clock, setting or row: so it says the same of a row every time."""
    said: dict[str, object] = {
        "filter": {"filter": expression},
        "drop": {"reduction": {"drop": ["is_alert", expression]}},
        "where": {"reduction": {"sample": {"share": 0.5, "where": expression}}},
    }[place]
    if (place, expression) == ("filter", ""):
        return  # no filter
    with pytest.raises(BadDeclaration, match=r"^authentication: meta\.exports: (filter|reduction\.(drop\[1\]|sample))"):
        export(**said)


def test_hours_are_declared_anew_when_their_rows_would_be_others_and_only_then() -> None:
    def mark(**said: object) -> str:
        return export(**said).fingerprint

    one = mark(filter="status_id = 2")
    assert one == mark(filter="status_id = 2", table="failures")
    (_, second) = exports_of("authentication", "silver", {"destinations": ["x", "y"], "filter": "status_id = 2"})
    assert one == second.fingerprint
    others = [
        mark(),
        mark(filter="status_id = 1"),
        mark(filter="status_id = 2", columns=["message"]),
        mark(filter="status_id = 2", without=["message"]),
        mark(filter="status_id = 2", key=["message"]),
        mark(filter="status_id = 2", reduction={"sample": {"share": 0.5}}),
        export("authentication__okta", filter="status_id = 2").fingerprint,
        export("account_change", filter="status_id = 2").fingerprint,
    ]
    assert len(others) + 1 == len({one, *others})


def test_what_an_entry_says_is_shown_without_what_it_leaves_out() -> None:
    said = {"filter": "status_id = 2", "reduction": {"drop": ["is_alert"]}}
    found: Export = export(**said)
    shown = plain(found.declared)
    assert ("status_id = 2", False) == (shown["filter"], "columns" in shown)
