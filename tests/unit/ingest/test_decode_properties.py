"""What holds for any input: no error, every record counted, and boundaries that leave no trace."""

import gzip
import io
import json
import zipfile
import zlib

import zstandard
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from ingest.decode import Limits, unescaped
from ingest.decode.records import escaped
from ingest.decode.splitter import Structure
from tests.unit.ingest.decoding import decoded, lines

documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6) | st.just("Records"), inner, max_size=4)
    ),
    max_leaves=8,
)
objects = st.dictionaries(st.text(max_size=6), documents, max_size=4)
# Text that is nearly JSON finds more than random bytes do.
scraps = st.lists(
    st.sampled_from(
        [
            b"{",
            b"}",
            b"[",
            b"]",
            b",",
            b":",
            b'"',
            b"\\",
            b"\n",
            b"\r\n",
            b" ",
            b"1",
            b'"Records":[',
            b'{"Records":[',
            b'{"a":1}',
            b"\xff",
            b"\0",
            b"\xc3\xa4",
            b"x" * 50,
            b"PK\x03\x04",
            b"\x1f\x8b",
            b"\xff\xfe",
        ]
    ),
    max_size=40,
).map(b"".join)
anything = st.binary(max_size=300) | scraps
sizes = st.integers(1, 64)


def limits(chunk: int, record: int = 10_000, document: int = 100_000) -> Limits:
    return Limits(chunk, record, document)


@settings(max_examples=25, deadline=None)
@given(anything, sizes, st.integers(1, 60), st.integers(1, 120))
def test_any_bytes_give_as_many_rows_as_are_counted(content: bytes, chunk: int, record: int, document: int) -> None:
    for stored in (content, gzip.compress(content), zstandard.compress(content)):
        decoded(stored, limits(chunk, record, document))


@settings(max_examples=25, deadline=None)
@given(st.lists(anything, max_size=3), st.integers(0, 400), st.integers(0, 255), sizes)
def test_any_damage_to_a_zip_gives_as_many_rows_as_are_counted(
    contents: list[bytes], at: int, byte: int, chunk: int
) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, content in enumerate(contents):
            archive.writestr(f"{number}.json", content)
    damaged = bytearray(file.getvalue())
    damaged[at % len(damaged)] = byte
    decoded(bytes(damaged), limits(chunk))


@settings(max_examples=25, deadline=None)
@given(scraps, sizes, st.integers(1, 120))
@example(b"\n {", 1, 1)
def test_no_byte_is_lost_from_text_without_an_envelope(content: bytes, chunk: int, document: int) -> None:
    """Lines of text that begins with no bracket come back whole, and none within the limit is called too large."""
    assume(not any(mark in content for mark in (b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")))  # they begin a text
    text = (b"x" + content).replace(b"Records", b"records")
    rows = decoded(text, limits(chunk, 10_000, document))
    back = [unescaped(row.line) if "invalid UTF-8" in row.detail else row.line.encode() for row in rows]
    expected = [line.removesuffix(b"\r") for line in text.split(b"\n")]
    assert [line for line in expected if line.strip(b" \t\r\n")] == [line.removesuffix(b"\r") for line in back]
    assert all(row.problem != "too_large" for row in rows)


@settings(max_examples=30, deadline=None)
@given(st.lists(objects, min_size=1, max_size=8), sizes)
def test_lines_are_the_same_at_any_chunk_size(records: list[dict[str, object]], chunk: int) -> None:
    expected = [json.dumps(record, ensure_ascii=False) for record in records]
    assert expected == lines("\n".join(expected).encode(), limits(chunk))


@settings(max_examples=30, deadline=None)
@given(st.lists(objects, max_size=8), st.sampled_from([None, 1]), sizes, st.booleans(), st.booleans())
def test_lists_are_the_same_whether_held_or_split(
    records: list[dict[str, object]], indent: int | None, chunk: int, envelope: bool, split: bool
) -> None:
    document = {"before": [records], "Records": records, "after": {}} if envelope else records
    content = json.dumps(document, indent=indent).encode()
    rows = lines(content, limits(chunk, document=1 if split else 100_000))
    assert records == [json.loads(row) for row in rows]


@settings(max_examples=25, deadline=None)
@given(st.lists(objects, min_size=1, max_size=8), st.integers(0, 1000), sizes, st.booleans())
def test_any_cut_through_gzip_keeps_the_records_that_are_whole(
    records: list[dict[str, object]], cut: int, chunk: int, envelope: bool
) -> None:
    texts = [json.dumps(record) for record in records]
    content = json.dumps({"Records": records}) if envelope else "\n".join(texts) + "\n"
    packed = gzip.compress(content.encode())
    cut %= len(packed)
    readable = zlib.decompressobj(31).decompress(packed[:cut]).decode()
    rows = decoded(packed[:cut], limits(chunk))
    if cut:
        assert cut < 2 or rows[-1].problem == "truncated_object"
    whole = [row.line for row in rows if row.problem is None]
    assert texts[: len(whole)] == whole or cut == 1
    if not envelope:
        assert len(whole) >= readable.count("\n")


@given(st.binary(max_size=100))
def test_the_notation_of_bad_bytes_loses_nothing(raw: bytes) -> None:
    assert raw == unescaped(escaped(raw))


@settings(max_examples=25, deadline=None)
@given(scraps, sizes)
def test_structure_is_the_same_however_the_text_is_cut(content: bytes, chunk: int) -> None:
    def found(parts: list[tuple[int, bytes]]) -> list[tuple[int, int, int]]:
        structure = Structure()
        events = []
        for begin, part in parts:
            places, codes, depths = structure.feed(part)
            events += [
                (begin + at, code, depth)
                for at, code, depth in zip(places.tolist(), codes.tolist(), depths.tolist(), strict=True)
            ]
        return events

    pieces = [(begin, content[begin : begin + chunk]) for begin in range(0, len(content), chunk)]
    assert found([(0, content)]) == found(pieces)
