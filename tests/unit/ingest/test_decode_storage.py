"""Compression, archives, encodings, and what damage to them costs."""

import gzip
import io
import zipfile

import duckdb
import pyarrow as pa
import pytest
import zstandard

from ingest.decode import SCHEMA, DecodeReport, Limits, ObjectUnreadable, decode, unescaped
from ingest.objects import RawObject
from tests.unit.ingest.decoding import SMALL, decoded, lines, short, stored

TEXT = b"".join(b'{"n":%d,"s":"%d"}\n' % (n, n * 7919) for n in range(500))
LINES = TEXT.decode().splitlines()
HALF = TEXT.index(b'{"n":250,')


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(gzip.compress(TEXT), id="gzip"),
        pytest.param(gzip.compress(TEXT[:5000]) + gzip.compress(TEXT[5000:]), id="gzip members"),
        pytest.param(gzip.compress(TEXT) + b"\0" * 600, id="gzip with padding"),
        pytest.param(gzip.compress(gzip.compress(TEXT)), id="gzip twice"),
        pytest.param(zstandard.compress(TEXT), id="zstd"),
        pytest.param(zstandard.compress(TEXT[:5000]) + zstandard.compress(TEXT[5000:]), id="zstd frames"),
        pytest.param(b"\x50\x2a\x4d\x18\x03\0\0\0abc" + zstandard.compress(TEXT), id="zstd skippable frame first"),
        pytest.param(zipped({"a.json": TEXT}), id="zip"),
        pytest.param(zipped({"a.json": TEXT}, zipfile.ZIP_STORED), id="zip, stored"),
        pytest.param(zipped({"b.gz": gzip.compress(TEXT[HALF:]), "a": zstandard.compress(TEXT[:HALF])}), id="in zip"),
        pytest.param(b"\xef\xbb\xbf" + TEXT, id="byte order mark"),
        pytest.param(TEXT.decode().encode("utf-16"), id="UTF-16 LE"),
        pytest.param(b"\xfe\xff" + TEXT.decode().encode("utf-16-be"), id="UTF-16 BE"),
        pytest.param(gzip.compress(TEXT.decode().encode("utf-16")), id="UTF-16 in gzip"),
    ],
)
@pytest.mark.parametrize("chunk_bytes", [3, 1000, 1_000_000])
def test_compression_and_encoding_are_told_by_the_first_bytes(content: bytes, chunk_bytes: int) -> None:
    assert lines(content, Limits(chunk_bytes, 10_000, 100_000)) == LINES


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
def test_a_truncated_object_keeps_what_can_be_read_and_says_where_it_ends(compress) -> None:  # type: ignore[no-untyped-def]
    content = compress(TEXT)[:-9]
    rows = decoded(content)
    assert rows[-1].problem == "truncated_object"
    assert f"compressed byte {len(content):,} of {len(content):,}" in rows[-1].detail
    assert TEXT.decode().startswith("\n".join(row.line for row in rows).rstrip("\n"))


@pytest.mark.parametrize("limits", [SMALL, Limits()])
def test_damage_in_the_middle_of_gzip_costs_only_what_lies_behind_it(limits: Limits) -> None:
    """Also if the damage and everything before it are in one block that zlib refuses as a whole."""
    content = bytearray(gzip.compress(TEXT))
    content[len(content) // 2] ^= 0xFF
    rows = decoded(bytes(content), limits)
    assert rows[-1].problem == "truncated_object"
    assert [row.line for row in rows[:100]] == LINES[:100]


@pytest.mark.parametrize("limits", [SMALL, Limits()])
def test_a_wrong_checksum_of_gzip_costs_no_record_and_is_reported(limits: Limits) -> None:
    content = bytearray(gzip.compress(TEXT))
    content[-8] ^= 0xFF
    rows = decoded(bytes(content), limits)
    assert [row.line for row in rows[:-1]] == LINES
    assert rows[-1][:2] == ("", "truncated_object")
    assert "incorrect data check" in rows[-1].detail


def test_garbage_behind_gzip_is_reported() -> None:
    rows = decoded(gzip.compress(TEXT) + b"garbage")
    assert [row.line for row in rows[:-1]] == LINES
    assert rows[-1].problem == "truncated_object"
    assert "after 1 whole members" in rows[-1].detail


def test_a_truncated_envelope_in_gzip_keeps_its_whole_elements() -> None:
    content = gzip.compress(b'{"Records":[' + TEXT.replace(b"\n", b",") + b"1]}")
    rows = decoded(content[: len(content) // 2])
    assert len(rows) > 100
    assert LINES[: len(rows) - 1] == [row.line for row in rows[:-1]]
    assert rows[-1].problem == "truncated_object"


def test_members_of_a_zip_are_objects_of_their_own_in_name_order_and_junk_is_named() -> None:
    content = zipped(
        {
            "b/x.json": b"2\n3",
            "a.json": b"1",
            "__MACOSX/._a.json": b"junk",
            "._b": b"junk",
            "b/.DS_Store": b"j",
            "d/": b"",
            "e": b"",
        }
    )
    report = DecodeReport()
    (batch,) = decode([stored(content, "logs.zip")], Limits(), report=report)
    assert [(row["object"], row["row"], row["line"]) for row in batch.to_pylist()] == [
        ("logs.zip!a.json", 1, "1"),
        ("logs.zip!b/x.json", 1, "2"),
        ("logs.zip!b/x.json", 2, "3"),
    ]
    assert report.members == {"logs.zip!a.json": "logs.zip", "logs.zip!b/x.json": "logs.zip"}
    assert {"__MACOSX/._a.json", "._b", "b/.DS_Store", "d/", "e"} == {name.split("!")[1] for name, _ in report.ignored}
    assert 3 == report.records == report.objects["logs.zip"].records


def test_a_damaged_zip_member_keeps_what_can_be_read_and_the_others_are_whole() -> None:
    content = bytearray(zipped({"a": TEXT, "b": b"1"}, zipfile.ZIP_STORED))
    content[content.index(LINES[499].encode()) + 6] ^= 1
    rows = decoded(bytes(content))
    assert LINES[:499] == [row.line for row in rows[:499]]
    assert [row.problem for row in rows[-2:]] == ["truncated_object", None]
    assert "checksum" in rows[-2].detail


def test_a_zip_without_directory_is_one_record() -> None:
    (row,) = decoded(zipped({"a": TEXT})[:200])
    assert row[:2] == ("", "truncated_object")
    assert "directory" in row.detail


def test_a_zip_that_cannot_be_read_backwards_is_read_all_the_same() -> None:
    class Forward(io.BytesIO):
        def seekable(self) -> bool:
            return False

    content = zipped({"a": TEXT})
    given = RawObject("o", lambda: Forward(content), len(content), stored(b"").arrived_at, "f")
    assert [row.line for row in decoded([given])] == LINES


def test_invalid_utf8_is_kept_without_loss_in_a_readable_notation() -> None:
    raw = b'{"b":"\xff\\n\xc3"}'
    rows = decoded(b'{"a":1}\n' + raw + b'\n{"c":"\xc3\xa4"}')
    assert [row.problem for row in rows] == [None, "not_json", None]
    assert "invalid UTF-8 at byte 7" in rows[1].detail
    assert raw == unescaped(rows[1].line)
    assert rows[2].line == '{"c":"ä"}'


def test_a_lone_surrogate_of_utf16_is_one_bad_record() -> None:
    content = '{"a":"\ud800"}\n{"b":1}'.encode("utf-16", "surrogatepass")
    assert [problem for _, problem in short(content)] == ["not_json", None]


def test_utf16_that_ends_inside_a_character_is_truncated() -> None:
    assert short('{"a":1}\n'.encode("utf-16") + b"\n") == [('{"a":1}', None), ("", "truncated_object")]


def test_nul_bytes_stay_in_the_text_and_duckdb_takes_them() -> None:
    batches = list(decode([stored(b'{"a":1}\n{"b":"\0"}\n\0\n')], SMALL))
    reader = pa.RecordBatchReader.from_batches(SCHEMA, batches)
    found = duckdb.connect().from_arrow(reader).project("line, object, row, problem").fetchall()
    assert found == [
        ('{"a":1}', "object", 1, None),
        ('{"b":"\0"}', "object", 2, "not_json"),
        ("\0", "object", 3, "not_json"),
    ]


def test_small_objects_share_batches_and_duckdb_tells_them_apart() -> None:
    given = [stored(b"1\n2\n", f"object {n}") for n in range(1000)]
    batches = list(decode(given, Limits(chunk_bytes=50_000)))
    assert len(batches) < 20
    reader = pa.RecordBatchReader.from_batches(SCHEMA, batches)
    wanted = "count(*), count(distinct object), typeof(any_value(object)), max(row)"
    assert duckdb.connect().from_arrow(reader).aggregate(wanted).fetchall() == [(2000, 1000, "VARCHAR", 2)]


def test_counts_of_bytes_are_as_stored_and_as_decoded() -> None:
    report = DecodeReport()
    content = gzip.compress(TEXT)
    decoded([stored(content)], report=report)
    assert (len(content), len(TEXT), len(content)) == (
        report.bytes_read,
        report.bytes_decoded,
        report.objects["object"].bytes,
    )


def test_an_object_that_cannot_be_opened_or_read_is_named() -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError("disk on fire")

    def missing() -> io.BytesIO:
        raise FileNotFoundError("no such file")

    for opener, word in ((missing, "no such file"), (Failing, "disk on fire")):
        given = RawObject("logs/a.gz", opener, 1, stored(b"").arrived_at, "f")
        with pytest.raises(ObjectUnreadable, match=f"logs/a.gz.*{word}"):
            decoded([given])


def test_limits_are_checked() -> None:
    with pytest.raises(ValueError, match="chunk_bytes must be between"):
        Limits(chunk_bytes=0)


def test_a_bomb_is_decoded_in_bounded_blocks() -> None:
    bomb = zstandard.compress(b"\0" * 20_000_000)
    (row,) = decoded(bomb, Limits(1 << 20, 1000, 1 << 20))
    assert row.problem == "too_large"
