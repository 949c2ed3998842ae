"""Streams of several texts: byte order marks, other encodings and other headers in the middle."""

import codecs
import gzip
import itertools
import random

import pytest

from ingest.decode import Limits, decode
from ingest.decode.lines import LineForm
from ingest.decode.records import FORM, LINES
from tests.unit.ingest.decoding import SMALL, decoded, lines, short, stored

MARKS = {
    "utf-8": codecs.BOM_UTF8,
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE,
    "utf-32-be": codecs.BOM_UTF32_BE,
}
RECORDS = ['{"n":1,"s":"ü €"}', '{"n":2,"s":"\U0001f512"}', '{"n":3}']
ENDS = ("\n", "")
FORM_OF_FLOWS = LineForm(" ", frozenset(("version", "account-id", "srcaddr", "dstaddr", "srcport", "action", "start")))


@pytest.mark.parametrize(("first", "second"), list(itertools.product(MARKS, MARKS)))
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("chunk_bytes", [3, 7, 1_000_000])
def test_a_mark_in_the_middle_begins_a_text_of_its_own_encoding(
    first: str, second: str, end: str, chunk_bytes: int
) -> None:
    one = "\n".join(RECORDS[:2]) + end
    content = MARKS[first] + one.encode(first) + MARKS[second] + (RECORDS[2] + end).encode(second)
    limits = Limits(chunk_bytes, 10_000, 100_000)
    assert lines(content, limits) == RECORDS
    members = gzip.compress(MARKS[first] + one.encode(first)) + gzip.compress(MARKS[second] + RECORDS[2].encode(second))
    assert lines(members, limits) == RECORDS


def test_each_text_has_a_shape_of_its_own() -> None:
    mark = codecs.BOM_UTF8
    texts = [b'{"a":1}\n', b'[{"a":2},\n{"a":3}]', b'{"Records":[{"a":4}]}\n', b'{\n "a":5\n}', mark, b"\n", b'{"a":6}']
    found = lines(mark + mark.join(texts), Limits())
    assert [each.replace("\n", "").replace(" ", "") for each in found] == [f'{{"a":{n}}}' for n in range(1, 7)]


def test_a_mark_in_a_value_is_part_of_the_value() -> None:
    for value in ("a\ufeffb", "}\ufeff{", r"\"}" + "\ufeff" + r"{\"", "\\\\\ufeff"):
        text = f'{{"m":"{value}"}}'
        assert lines(f"{text}\n{text}\n".encode(), Limits()) == [text, text]
        assert lines(f'{{"Records":[{text},{text}]}}'.encode(), Limits(3)) == [text, text]


@pytest.mark.parametrize("encoding", [each for each in MARKS if each != "utf-8"])
def test_wide_text_without_a_mark_is_told_by_its_zeros(encoding: str) -> None:
    assert lines("\n".join(RECORDS).encode(encoding), Limits()) == RECORDS
    assert lines(gzip.compress("\n".join(RECORDS).encode(encoding)), SMALL) == RECORDS


@pytest.mark.parametrize("encoding", ["utf-32-le", "utf-32-be"])
def test_what_is_no_character_of_utf32_is_told(encoding: str) -> None:
    content = MARKS[encoding] + '{"a":1}\n'.encode(encoding) + b"\xee\xee\xee\xee" * 4
    assert short(content)[-1][1] == "truncated_object"


def _values(content: bytes, limits: Limits) -> list[dict[str, str]]:
    """The values of the records by the names of the header that each was given with."""
    found = []
    for batch in decode([stored(content)], limits, lines=FORM_OF_FLOWS):
        header = batch.schema.metadata[FORM].removeprefix(LINES).decode().split()
        found += [dict(zip(header, line.split(), strict=True)) for line in batch.column("line").to_pylist()]
    return found


@pytest.mark.parametrize("seed", range(60))
def test_another_header_in_the_middle_holds_from_there_on(seed: int) -> None:
    """Names in any order, more or fewer of them, the same again, behind a mark or not, several in a row."""
    chance = random.Random(seed)
    names = sorted(FORM_OF_FLOWS.header_names)
    text, expected, header = "", [], list[str]()
    for part in range(chance.randint(1, 6)):
        if not part or chance.random() < 0.7:
            header = header if header and chance.random() < 0.3 else chance.sample(names, chance.randint(3, len(names)))
            mark = "\ufeff" if chance.random() < 0.3 else ""
            spelt = " ".join(header).upper() if chance.random() < 0.2 else " ".join(header)
            text += (mark + spelt + chance.choice(("\n", "\r\n"))) * chance.choice((1, 1, 2))
            header = spelt.split()
        for row in range(chance.randint(0, 4)):
            values = [chance.choice((f"{part}{row}", "-", "eni-1", "10.0.0.7", "ACCEPT")) for _ in header]
            values[chance.randrange(len(values))] = str(row)
            text += " ".join(values) + "\n"
            expected.append(dict(zip(header, values, strict=True)))
    limits = chance.choice((Limits(), Limits(5, 10_000, 10_000)))
    assert expected == _values(text.encode(), limits)


def test_a_line_of_values_is_no_header() -> None:
    content = b"action account-id start\nACCEPT x srcaddr\nstart x y\nREJECT b c\n"
    assert [each["action"] for each in _values(content, Limits())] == ["ACCEPT", "start", "REJECT"]
    assert len(decoded(b"a b\nversion account-id srcaddr\n")) == 2  # of a source that has no headers


@pytest.mark.parametrize("behind", ["{", "[1,2]", '{"a":1}'])
def test_json_behind_a_mark_in_a_line_of_text_takes_no_lines_along(behind: str) -> None:
    content = f"action account-id start\na b c\nd e \ufeff{behind}\ng h i\n".encode()
    assert [each["start"] for each in _values(content, Limits())] == ["c", f"\ufeff{behind}", "i"]
