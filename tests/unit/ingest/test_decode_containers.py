"""Archives and compressions, in one another too: records are read, what is not read is named, no byte is a record."""

import bz2
import gzip
import io
import itertools
import lzma
import random
import struct
import tarfile
import zipfile
from collections.abc import Callable

import pytest
import zstandard

from ingest.decode import DecodeReport, Limits
from ingest.decode.containers import MAX_DEPTH, MAX_MEMBERS
from tests.unit.ingest.decoding import Row, decoded, lines, stored

TEXT = b"".join(b'{"n":%d,"s":"%d"}\n' % (n, n * 7919) for n in range(120))
LINES = TEXT.decode().splitlines()
NAMES = ["'", '"', "*?[", "a\nb", "ü.json", "-x", "../../etc/passwd", "/abs", "%20#"]
Pack = Callable[[bytes], bytes]


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def tarred(members: dict[str, bytes], form: int = tarfile.GNU_FORMAT) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


COMPRESSED: dict[str, Pack] = {
    "gzip": gzip.compress,
    "gzip members": lambda text: gzip.compress(text[:99]) + gzip.compress(b"") + gzip.compress(text[99:]),
    "bzip2": bz2.compress,
    "bzip2 streams": lambda text: bz2.compress(text[:99]) + bz2.compress(text[99:]),
    "xz": lzma.compress,
    "xz streams": lambda text: lzma.compress(text[:99]) + b"\0" * 8 + lzma.compress(text[99:]),
    "lzma": lambda text: lzma.compress(text, lzma.FORMAT_ALONE),
    "zstd": zstandard.compress,
}
ARCHIVED: dict[str, Pack] = {
    "zip": lambda text: zipped({"a.json": text}),
    "zip, stored": lambda text: zipped({"a.json": text}, zipfile.ZIP_STORED),
    "zip, bzip2": lambda text: zipped({"a.json": text}, zipfile.ZIP_BZIP2),
    "tar": lambda text: tarred({"a.json": text}),
    "tar, pax": lambda text: tarred({"ü" * 120: text}, tarfile.PAX_FORMAT),
    "tar, gnu": lambda text: tarred({"x" * 250: text}),
    "tar, ustar": lambda text: tarred({"a" * 99 + "/" + "b" * 99: text}, tarfile.USTAR_FORMAT),
}
PACKED = {**COMPRESSED, **ARCHIVED}


def told(content: bytes, name: str = "object") -> tuple[list[Row], dict[str, str], dict[str, str]]:
    """The rows, what was passed over, and what could not be read."""
    report = DecodeReport()
    rows = decoded([stored(content, name)], Limits(), report=report)
    return rows, dict(report.ignored), dict(report.refused)


@pytest.mark.parametrize(("outer", "inner"), list(itertools.product(PACKED, PACKED)))
def test_what_is_packed_twice_is_read(outer: str, inner: str) -> None:
    assert lines(PACKED[outer](PACKED[inner](TEXT)), Limits()) == LINES


@pytest.mark.parametrize("seed", range(40))
def test_archives_of_archives_give_all_records_in_order(seed: int) -> None:
    chance = random.Random(seed)

    def made(text: list[bytes], depth: int) -> bytes:
        if len(text) > 1 and depth < MAX_DEPTH and chance.random() < 0.8:
            cuts = sorted(chance.sample(range(1, len(text)), min(chance.randint(1, 3), len(text) - 1)))
            parts = [text[begin:end] for begin, end in itertools.pairwise([0, *cuts, len(text)])]
            names = chance.sample(
                ["'", '"', "*?[", "a\nb", "ü.json", "-x", "../../etc/passwd", "/abs", "%20#"], len(parts)
            )
            members = dict(zip(sorted(names), (made(part, depth + 1) for part in parts), strict=True))
            packed = chance.choice([zipped, tarred])(members)
        else:
            packed = b"".join(text)
        return chance.choice(list(COMPRESSED.values()))(packed) if chance.random() < 0.4 else packed

    assert lines(made(TEXT.splitlines(keepends=True), 0), Limits(chance.choice((7, 1000, 1 << 20)))) == LINES


@pytest.mark.parametrize("pack", PACKED)
def test_what_is_cut_off_keeps_its_records_and_says_why(pack: str) -> None:
    content = PACKED[pack](TEXT)
    for end in range(270, len(content) - 1200 if "tar" in pack else len(content), max(1, len(content) // 23)):
        rows, _, refused = told(content[:end])
        texts = [row.line for row in rows if row.problem is None]
        assert texts == LINES[: len(texts)]
        assert {row.problem for row in rows[len(texts) :]} <= {"truncated_object"}
        assert len(texts) == len(LINES) or len(rows) == len(texts) + 1
        assert not refused


def test_an_empty_archive_is_empty_and_not_broken() -> None:
    for content, name in (
        (zipped({}), "a.zip"),
        (zipped({"d/": b""}), "a.zip"),
        (tarred({}), "a.TAR"),
        (gzip.compress(tarred({})), "a.tgz"),
        (gzip.compress(zipped({})), "a.json"),
        (b"PK\x05\x06" + b"\0" * 18, "a"),
    ):
        rows, ignored, refused = told(content, name)
        assert (rows, refused) == ([], {})
        assert ignored
    assert told(gzip.compress(b""))[0] == told(bz2.compress(b""))[0] == told(lzma.compress(b""))[0] == []


NOT_READ = {
    "7-Zip": b"7z\xbc\xaf\x27\x1c\0\x04" + bytes(range(256)),
    "RAR": b"Rar!\x1a\x07\x01\0" + bytes(range(256)),
    "lz4": b"\x04\x22\x4d\x18" + bytes(range(256)),
    ".evtx": b"ElfFile\0" + bytes(600),
    "Avro": b"Obj\x01\x04\x14avro.codec",
    "SQLite": b"SQLite format 3\0" + bytes(600),
    "packet capture": b"\xd4\xc3\xb2\xa1\x02\0\x04\0" + bytes(600),
    "PDF": b"%PDF-1.7\n%\xe2\xe3",
    "compress": b"\x1f\x9d\x90" + bytes(range(200)),
    "Office": zipped({"[Content_Types].xml": b"<Types/>", "xl/workbook.xml": b"<workbook/>"}),
    "more than": gzip.compress(gzip.compress(gzip.compress(gzip.compress(TEXT)))),
}


@pytest.mark.parametrize("kind", NOT_READ)
@pytest.mark.parametrize("pack", [None, "gzip", "zip", "tar"])
def test_a_kind_that_is_not_read_is_named_and_costs_nothing_else(kind: str, pack: str | None) -> None:
    if kind == "more than" and pack == "gzip":
        return
    content = PACKED[pack](NOT_READ[kind]) if pack else NOT_READ[kind]
    report = DecodeReport()
    given = [stored(TEXT, "before"), stored(content, "odd.json"), stored(TEXT, "behind")]
    assert [row.line for row in decoded(given, Limits(), report=report)] == LINES * 2
    ((name, why),) = report.refused
    assert name.startswith("odd.json")
    assert kind in why
    assert (pack in ("zip", "tar")) == ("odd.json" in report.objects)  # else it is tried again


def test_members_that_cannot_be_read_are_named_and_the_others_are_read() -> None:
    whole = zipped({"a.json": TEXT, "b.json": b"1\n"})
    for change, word in ((("flags", 1), "encrypted"), (("method", 9), "deflate64"), (("method", 99), "AES")):
        content = bytearray(whole)
        place = whole.index(b"PK\x01\x02") + (8 if change[0] == "flags" else 10)
        struct.pack_into("<H", content, place, change[1])
        rows, _, refused = told(bytes(content), "x.zip")
        assert [row.line for row in rows] == ["1"]
        assert word in refused["x.zip!a.json"]


def test_depth_is_bounded() -> None:
    content = TEXT
    for _ in range(MAX_DEPTH):
        content = zipped({"z": content, "t": gzip.compress(tarred({"x": b'{"a":1}\n'}))})
    rows, _, refused = told(zipped({"z": content}), "x")
    assert rows == [Row('{"a":1}')] * (MAX_DEPTH - 2)
    assert set(refused) == {"x!z!z!z", "x!z!z!t"}


def test_a_bomb_is_named_and_not_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("compression", "archive", "containers"):
        monkeypatch.setattr(f"ingest.decode.{module}.BOMB_BYTES", 1 << 20)
        monkeypatch.setattr(f"ingest.decode.{module}.BOMB_RATIO", 200)
    zeros = bytes(4 << 20)
    rows, _, refused = told(zipped({"bomb": zeros, "a.json": b"1\n"}), "x")
    assert [row.line for row in rows] == ["1"]
    assert "bomb" in refused["x!bomb"]
    many = zipped({f"{n}": zeros[: 1 << 19] for n in range(40)})
    assert told(many, "x")[0] == []
    for pack in ("gzip", "xz", "bzip2", "zstd"):
        (row,) = told(COMPRESSED[pack](zeros))[0]
        assert row.problem == "truncated_object"
        assert "as a bomb does" in row.detail
    report = DecodeReport()
    decoded([stored(gzip.compress(tarred({f"{n}": zeros[: 1 << 19] for n in range(40)})))], Limits(), report=report)
    assert report.bytes_decoded < 3 << 20


def test_members_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_MEMBERS == 100_000
    monkeypatch.setattr("ingest.decode.containers.MAX_MEMBERS", 5)
    for pack in (zipped, tarred):
        rows, _, refused = told(pack({f"{n}": b"%d\n" % n for n in range(9)}))
        assert len(rows) == 5
        assert "only the first 5 members" in next(iter(refused.values()))


def test_what_stands_in_a_tar_beside_files_is_named() -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, kind in (("d", tarfile.DIRTYPE), ("l", tarfile.SYMTYPE), ("p", tarfile.FIFOTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
        for name in (b"caf\xe9.json".decode("utf-8", "surrogateescape"), "__MACOSX/x", "README.txt", "empty"):
            info = tarfile.TarInfo(name)
            info.size = 0 if name == "empty" else len(TEXT)
            archive.addfile(info, io.BytesIO(TEXT))
    rows, ignored, refused = told(file.getvalue() + tarred({"second": b"1\n"}), "x.tar")
    assert [row.line for row in rows] == [*LINES, "1"]
    assert [name.split("!")[1] for name in ignored] == ["d", "l", "p", "__MACOSX/x", "README.txt", "empty"]
    assert not refused


def test_members_of_one_name_stay_apart() -> None:
    report = DecodeReport()
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for n in range(3):
            info = tarfile.TarInfo("a")
            info.size = 2
            archive.addfile(info, io.BytesIO(b"%d\n" % n))
    assert [row.line for row in decoded([stored(file.getvalue(), "x")], report=report)] == ["0", "1", "2"]
    assert list(report.members) == ["x!a", "x!a#2", "x!a#2#2"]


def test_members_whose_names_are_flagged_as_utf8_and_are_none_are_read() -> None:
    packed = zipped({"ü.ndjson": TEXT, "plain.ndjson": b'{"n":1}\n'}).replace("ü".encode(), b"\xff\xfe")
    assert ['{"n":1}', *LINES] == lines(packed)
