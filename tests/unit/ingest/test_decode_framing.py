"""Which records are in an object, told by its content."""

import json

import pytest

from ingest.decode import Limits, decode
from ingest.decode.lines import LineForm
from ingest.decode.records import MAX_DEPTH
from tests.unit.ingest.decoding import decoded, lines, short, stored

ROOMY = Limits(chunk_bytes=64, max_record_bytes=10_000, max_document_bytes=100_000)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(b'{"a":1}\n{"b":2}\r\n\n  \t\n{"c":3}', ['{"a":1}', '{"b":2}', '{"c":3}'], id="lines, blank ones"),
        pytest.param(b'[{"a":1}, {"b":[1,2]} ]\n', ['{"a":1}', '{"b":[1,2]}'], id="array"),
        pytest.param(b'\n[\n{"a":1},\n {"b":[1,\n2]}\n]\n', ['{"a":1}', '{"b":[1,\n2]}'], id="array over lines"),
        pytest.param(b"[1]\n[2,3]\n", ["[1]", "[2,3]"], id="lines that are arrays"),
        pytest.param(b"[]", [], id="empty array"),
        pytest.param(b'{"Records":[{"a": 1},2]}', ['{"a": 1}', "2"], id="envelope"),
        pytest.param(b'{"n":{"Records":[7]},"Records":[1],"z":[2]}', ["1"], id="key not first, also deeper"),
        pytest.param(b'{"Records":[1],"Records":[2]}', ["1", "2"], id="key twice"),
        pytest.param(b'{"Records":[]}', [], id="empty envelope"),
        pytest.param(b'{"Records":[1]}\n{"Records":[2]}\n', ["1", "2"], id="envelope a line"),
        pytest.param(b'{"Records":[1]}{"Records":[2]}', ["1", "2"], id="envelopes without line ends"),
        pytest.param(b'{\n "Records" : [\n 1,\n 2\n ]\n}\n', ["1", "2"], id="envelope over lines"),
        pytest.param(
            b'{"Records":1}\n{"q":"\\"Records\\":[1]"}', ['{"Records":1}', '{"q":"\\"Records\\":[1]"}'], id="no list"
        ),
        pytest.param(b'{\n"a":1\n}\n{\n"b":2}\n', ['{\n"a":1\n}', '{\n"b":2}'], id="records over lines"),
        pytest.param(b'{"a":1}{"b":2} {"c":3}', ['{"a":1}', '{"b":2}', '{"c":3}'], id="records without line ends"),
        pytest.param(b"oops\n1\n", ["oops", "1"], id="what is no bracket is a line"),
        pytest.param(b"", [], id="nothing"),
        pytest.param(b" \r\n\t\n", [], id="nothing but blanks"),
    ],
)
@pytest.mark.parametrize("chunk_bytes", [1, 7, 1000])
def test_records_are_found_by_content(content: bytes, expected: list[str], chunk_bytes: int) -> None:
    assert expected == lines(content, Limits(chunk_bytes, 200, 400))


def test_other_keys_make_envelopes_too() -> None:
    rows = decoded(b'{"value":[1]}\n{"events":[2,3]}\n{"Records":[4]}', keys=("value", "events"))
    assert [row.line for row in rows] == ["1", "2", "3", '{"Records":[4]}']


def test_without_keys_nothing_is_an_envelope() -> None:
    assert [row.line for row in decoded(b'{"Records":[1]}', keys=())] == ['{"Records":[1]}']


@pytest.mark.parametrize("opening", [b"[", b'{"Records":[', b'{"meta":{"n":[1,{}]},\n"Records" : [ '])
def test_documents_too_large_to_hold_are_split_as_they_stream_by(opening: bytes) -> None:
    elements = [json.dumps({"n": n, "s": '}],[{"\\' * (n % 5)}) for n in range(300)]
    closing = b"]" if opening == b"[" else b'],"after":[{"x":[]}]}'
    for limits in (Limits(16, 200, 400), Limits(5000, 200, 400), ROOMY):
        assert elements == lines(opening + ",\n".join(elements).encode() + closing, limits)


def test_a_long_envelope_among_lines_is_split_and_the_lines_around_it_stay() -> None:
    long = json.dumps({"Records": list(range(500))}).encode()
    assert ['{"a":1}', *map(str, range(500)), '{"b":2}'] == lines(b'{"a":1}\n' + long + b'\n{"b":2}\n')


@pytest.mark.parametrize("opening", ["[", '{"Records":['])
def test_elements_before_a_damaged_one_are_kept_and_the_rest_is_one_record(opening: str) -> None:
    closing = "]" if opening == "[" else "]}"
    rows = decoded(f'{opening}{{"a":1}}, 2,oops, {{"b":3}}{closing}'.encode())
    assert [(row.line, row.problem) for row in rows[:-1]] == [('{"a":1}', None), ("2", None)]
    assert (f'oops, {{"b":3}}{closing}', "not_json") == (rows[-1].line, rows[-1].problem)
    assert f"{len(rows[-1].line)} bytes" in rows[-1].detail


def test_the_rest_of_a_damaged_document_is_cut_and_its_size_is_told() -> None:
    rows = decoded(b"[1,oops," + b"7," * 1000 + b"8]")
    assert rows[0][:2] == ("1", None)
    assert len(rows[1].line) == 200
    assert "2,007 bytes, first 200 kept" in rows[1].detail


def test_damage_around_the_records_is_reported_and_the_records_are_kept() -> None:
    assert short(b'{"Records":[1],oops}') == [("1", None), ('{"Records":[],oops}', "not_json")]


@pytest.mark.parametrize(
    "content", [b'[{"a":1},{"b"', b'{"Records":[{"a":1},{"b"', b'{\n"Records":\n[{"a":1},\n{"b"\n']
)
def test_a_document_that_ends_early_keeps_its_whole_elements(content: bytes) -> None:
    assert [(line.strip(), why) for line, why in short(content)] == [('{"a":1}', None), ('{"b"', "truncated_object")]


def test_an_envelope_line_that_ends_early_costs_only_its_tail() -> None:
    assert short(b'{"Records":[1,2\n{"Records":[3]}\n') == [("1", None), ("2", "not_json"), ("3", None)]


def test_a_damaged_first_line_costs_only_itself() -> None:
    assert [line for line, _ in short(b'{"a":1\n{"b":2}\n{"c":3}')] == ['{"a":1', '{"b":2}', '{"c":3}']


def test_a_damaged_record_over_lines_costs_only_itself() -> None:
    content = b'{\n"a":x\n}\n{"b":2}\n{\n"c":3\n}\n'
    assert short(content)[:2] == [('{\n"a":x\n}', "not_json"), ('{"b":2}', None)]


def test_a_first_line_that_never_closes_does_not_swallow_the_lines_behind_it() -> None:
    behind = [json.dumps({"n": n}) for n in range(200)]
    rows = short(b'{"a":[[[{"x":\n' + "\n".join(behind).encode())
    assert rows[0] == ('{"a":[[[{"x":', "not_json")
    assert behind == [line for line, _ in rows[1:]]


def test_deep_nesting_is_a_record_and_never_an_error() -> None:
    deep = b"[" * 20_000 + b"]" * 20_000
    limits = Limits(1024, 100_000, 1_000_000)
    assert [('{"a":1}', None), (deep.decode(), "too_deep")] == short(b'{"a":1}\n' + deep + b"\n", limits)
    assert [("1", None), (deep.decode(), "too_deep"), ("2", None)] == short(b'{"Records":[1,' + deep + b",2]}", limits)
    assert len(short(b"[" * 50_000, limits)) == 1


def test_brackets_in_texts_are_no_depth() -> None:
    most = b"[" * MAX_DEPTH + b"]" * MAX_DEPTH
    text = b'{"a":"' + b'[\\"{' * 2000 + b'"}'
    rows = short(b'{"a":1}\n' + most + b"\n[" + most + b"]\n" + text + b"\n", Limits(64, 100_000, 1_000_000))
    assert [None, None, "too_deep", None] == [problem for _, problem in rows]


@pytest.mark.parametrize("chunk_bytes", [16, 5000])
def test_a_record_over_the_limit_is_cut_at_a_character_and_says_where_it_lies(chunk_bytes: int) -> None:
    long = '{"b":"x' + "ä" * 300 + '"}'
    rows = decoded(f'{{"a":1}}\n{long}\n{{"c":3}}\n'.encode(), Limits(chunk_bytes, 200, 400))
    assert ['{"a":1}', long[:103], '{"c":3}'] == [row.line for row in rows]
    assert rows[1][1:] == ("too_large", "609 bytes; first 199 kept; bytes 8 to 617 of the decoded object")


@pytest.mark.parametrize("opening", ["[", '{"Records":['])
@pytest.mark.parametrize("limits", [Limits(16, 200, 400), Limits(16, 200, 4000)])
def test_an_element_over_the_limit_is_cut_and_the_others_stay(opening: str, limits: Limits) -> None:
    closing = "]" if opening == "[" else "]}"
    rows = decoded(f'{opening}1,"{"x" * 500}",3{closing}'.encode(), limits)
    assert [row[:2] for row in rows] == [("1", None), ('"' + "x" * 199, "too_large"), ("3", None)]
    assert rows[1].detail.startswith("502 bytes; first 200 kept")


def test_a_huge_line_without_end_is_one_record() -> None:
    rows = decoded(b"x" * 100_000)
    assert [row[:2] for row in rows] == [("x" * 200, "too_large")]


@pytest.mark.parametrize("blanks", [b" " * 1000, b"\t \r" * 1000])
def test_a_blank_line_is_no_record_however_long(blanks: bytes) -> None:
    assert lines(b'{"a":1}\n' + blanks + b'\n{"b":2}\n' + blanks) == ['{"a":1}', '{"b":2}']


def test_the_blanks_before_a_long_line_belong_to_it() -> None:
    rows = decoded(b"1\n  " + b"x" * 998)
    assert rows[1][:2] == ("  " + "x" * 198, "too_large")
    assert rows[1].detail == "1,000 bytes; first 200 kept; bytes 2 to 1,002 of the decoded object"


def test_a_long_envelope_behind_blanks_is_still_an_envelope() -> None:
    assert lines(b"1\n" + b" " * 900 + json.dumps({"Records": list(range(500))}).encode()) == [
        "1",
        *map(str, range(500)),
    ]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize(
    "bad", [b"[[", b"[1,2", b"[", b'["a",', b'{"Records":[', b'{"Records":[{"x":1},', b"{", b'[{"ok":9}']
)
@pytest.mark.parametrize("chunk_bytes", [3, 1000])
def test_a_bad_line_that_begins_as_a_document_takes_no_line_along(bad: bytes, mark: bytes, chunk_bytes: int) -> None:
    sound = ['{"ok":1}', '{"ok":2}']
    rows = decoded(mark + bad + b"\n" + "\n".join(sound).encode(), Limits(chunk_bytes, 200, 400))
    assert [row.line for row in rows if row.problem is None][-2:] == sound
    assert any(row.problem == "not_json" for row in rows)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("before", [b"", b"2 a b\n"])
@pytest.mark.parametrize(
    "bad", [b"{x", b"[29/Nov", b"{", b"[[", b'{"a":1}', b'{"a":', b'{\n"n":[\n1,\n2\n]}', b'{"a":1}\nx\n{"b":[']
)
@pytest.mark.parametrize("chunk_bytes", [3, 1000])
def test_lines_of_text_around_one_that_looks_like_json_are_lines(
    bad: bytes, before: bytes, mark: bytes, chunk_bytes: int
) -> None:
    around = b"3 c d\n4 e f\n"
    text = stored(before + mark + bad + b"\n" + around)
    batches = [*decode([text], Limits(chunk_bytes, 200, 400), (), None, LineForm(" "))]
    found = [row for each in batches if each.schema.metadata for row in each.to_pylist()]
    sound = [row["line"] for row in found if row["problem"] is None and row["line"][1:2] == " "]
    assert (before + around).decode().splitlines() == sound
    numbers = [row["row"] for each in batches for row in each.to_pylist()]
    assert list(range(1, len(numbers) + 1)) == numbers
