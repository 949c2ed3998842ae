"""No value of a record is a path, a pattern or a format: not in the project's SQL, and a user's model is told so."""

import re
from collections.abc import Iterator

import duckdb
import pytest

from orchestration.settings import PROJECT
from orchestration.steps.sql_paths import paths_from_data

WRITTEN = [path for folder in ("models", "macros") for path in sorted((PROJECT / folder).rglob("*.sql"))]
ARROW = re.compile(r"->>?\s*(?!['>\s])(.+)")
CALL = re.compile(r"\b(json_(?:extract\w*|type|exists|value|keys|array_length)|regexp_\w+|(?:try_)?strptime)\(")
WRITTEN_OUT = ("'", '"', "{{", "[", "('/' || replace(replace(", "('{{")
FROM_DATA = [
    "select a ->> b from t",
    "select list_transform(x, lambda e: e -> y) from t",
    "select json_extract(a, ['$.x', b]) from t",
    "select a ->> ('/' || k) from t",
    "with q as (select strptime(a, f) as g from t) select * from q",
    "select 1 from t where g similar to h",
    "select regexp_replace(a, lower(b), '') from t",
    "select date_trunc(d, e) from t",
]
SOUND = [
    "select a ->> ('/' || replace(replace(k, '~', '~0'), '/', '~1')) from t",
    "select list_transform(x, lambda e: e ->> '$.a') from t",
    "select list_filter(x, e -> e > y) from t",
    "select regexp_replace(a, '(?i)' || regexp_escape(b), '') from t",
    "select json_extract(a, ['$.x', '$.y']), strftime(b, '%Y'), a like b from t",
]


def test_what_the_project_writes() -> None:
    found = []
    for path in WRITTEN:
        text = re.sub(r"\{#.*?#\}|--[^\n]*", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        paths = [*ARROW.findall(text), *_second_arguments(text)]
        found += [f"{path.name}: {each}" for each in paths if not each.startswith(WRITTEN_OUT)]
    assert [] == found


def _second_arguments(text: str) -> Iterator[str]:
    for call in CALL.finditer(text):
        depth, quoted = 0, False
        for place in range(call.end(), len(text)):
            quoted ^= text[place] == "'"
            depth += 0 if quoted else (text[place] in "([{") - (text[place] in ")]}")
            if depth < 0:
                break
            if text[place] == "," and not depth and not quoted:
                yield " ".join(text[place + 1 : place + 200].split())
                break


@pytest.mark.parametrize("sql", FROM_DATA)
def test_a_path_from_a_column_is_told(sql: str) -> None:
    assert 1 == len(list(paths_from_data(duckdb.connect(), sql)))


@pytest.mark.parametrize("sql", SOUND)
def test_what_is_written_out_is_not(sql: str) -> None:
    assert [] == list(paths_from_data(duckdb.connect(), sql))
