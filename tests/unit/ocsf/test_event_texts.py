import json

import duckdb

from lake.ocsf.validate import event_texts


def events(sql: str) -> list[object]:
    return [json.loads(text) for text in event_texts(duckdb.sql(sql))]


def test_nulls_are_left_out_of_objects_and_kept_in_lists() -> None:
    found = events("""
        select * from (values
            (1, {'b': 2, 'c': {'d': null::int, 'e': 'x'}}, [null, 3], [{'f': null::int, 'g': 1}]),
            (null, {'b': null, 'c': null}, null, null)
        ) as row(number, object, numbers, objects)
    """)
    first = {"number": 1, "object": {"b": 2, "c": {"e": "x"}}, "numbers": [None, 3], "objects": [{"f": None, "g": 1}]}
    assert found == [first, {"object": {}}]


def test_an_object_of_which_no_row_fills_anything_is_still_there() -> None:
    assert events("select {'name': null::varchar, 'uid': null::varchar} as user") == [{"user": {}}]


def test_a_row_of_nothing_is_an_event_of_nothing() -> None:
    assert events("select null::int as time, {'uid': 'u'} as _batch from range(2)") == [{}, {}]


def test_timestamps_are_rfc_3339_at_any_depth() -> None:
    found = events("""
        select
            timestamp '2026-01-02 03:04:05' as time_dt,
            {'logged_time_dt': timestamp '2026-01-02 03:04:05.000006'} as metadata
    """)
    assert found == [
        {"time_dt": "2026-01-02T03:04:05.000000Z", "metadata": {"logged_time_dt": "2026-01-02T03:04:05.000006Z"}}
    ]


def test_json_is_part_of_the_event_also_where_unmapped_was_stored_as_text() -> None:
    found = events("""select '{"a": [1]}' as unmapped, {'data': '{"b": 2}'::json} as request""")
    assert found == [{"unmapped": {"a": [1]}, "request": {"data": {"b": 2}}}]
