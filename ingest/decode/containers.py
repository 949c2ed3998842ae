"""Archives, also in one another: which kind the bytes are, their members, and the bounds that no archive goes beyond.

Kinds are told by the bytes, never by a name. What is not read is named with the reason and costs nothing else: no byte
of a container becomes a record. Nothing is unpacked to paths; archives that are read from their end lie in a nameless
temporary file. Loaded when an object may be packed in more than gzip and zstd.
"""

from __future__ import annotations

import re
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, Final

from ingest.decode.archive import Member, rows_as_json, why_ignored, zip_members
from ingest.decode.compression import BOMB_BYTES, BOMB_RATIO, decompressed, gathered
from ingest.decode.documents import Cursor
from ingest.decode.records import Broken, DecodeReport, Limits, escaped, peek

if TYPE_CHECKING:
    from ingest.decode.evtx import EventLog

MAX_DEPTH = 3  # archives in one another
MAX_MEMBERS = 100_000  # of one object, over all its archives
HEAD_BYTES = 512  # by which a kind is told; tar's header is as long
_TAR_BLOCK = 512
_MOST_PAX_BYTES = 1 << 20
_ZIP, _PARQUET, _TAR, _EMPTY_TAR = "zip", "parquet", "tar", "empty tar"
_EVTX = "a Windows event log (.evtx)"
_READ = re.compile(rb"(?P<zip>PK(?:\x03\x04|\x05\x06|\x06\x06|00PK))|(?P<parquet>PAR1)")
# "List of file signatures", Wikipedia; formats whose bytes could be text are known by more than their first letters.
_NOT_READ: Final = {
    "a 7-Zip archive": rb"7z\xbc\xaf\x27\x1c",
    "a RAR archive": rb"Rar!\x1a\x07",
    "a cabinet archive": rb"MSCF\0\0\0\0",
    "an archive of `ar`": rb"!<arch>\n",
    "a cpio archive": rb"07070[127][0-9A-Fa-f]{104}|\xc7\x71|\x71\xc7",
    "compressed by lz4": rb"\x04\x22\x4d\x18|\x02\x21\x4c\x18",
    "compressed by snappy": rb"\xff\x06\0\0sNaPpY",
    "compressed by compress (.Z)": rb"\x1f\x9d",
    "compressed by lzip": rb"LZIP\x01",
    "compressed by lzop": rb"\x89LZO\0\r\n\x1a\n",
    "an Avro file": rb"Obj\x01",
    "an ORC file": rb"ORC[\0-\x08\x0e-\x1f\x80-\xff]",
    _EVTX: rb"ElfFile\0",
    "a packet capture": rb"\xd4\xc3\xb2\xa1|\xa1\xb2\xc3\xd4|\x4d\x3c\xb2\xa1|\xa1\xb2\x3c\x4d|\n\r\r\n....[\x1a\x4d]",
    "a SQLite database": rb"SQLite format 3\0",
    "a PDF document": rb"%PDF-\d",
    "a picture": rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff[\xdb\xe0-\xef]|GIF8[79]a",
    "a program": rb"\x7fELF[\x01\x02]|MZ.{58}..\0\0",
    "an encrypted file": rb"Salted__|age-encryption\.org/v1\n|-----BEGIN PGP MESSAGE-----",
}
_OTHERS = {label: re.compile(shape, re.DOTALL) for label, shape in _NOT_READ.items()}


def kind_of(head: bytes, name: str) -> str | None:
    """Return the kind of a container by its first bytes, None for what is none; the name tells of empty tars alone."""
    if found := _READ.match(head):
        return str(found.lastgroup)
    for label, shape in _OTHERS.items():
        if shape.match(head):
            return label
    if head[257:262] == b"ustar":
        return _TAR
    if b"\0" in head and len(head) == _TAR_BLOCK:
        if not head.strip(b"\0"):
            return _EMPTY_TAR if re.search(r"\.t(?:ar|gz|bz2?|xz|zst)\b", name, re.IGNORECASE) else None
        with suppress(tarfile.HeaderError):
            tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
            return _TAR
    return None


class Unpacker:
    """Gives the plain bytes of one object that may be packed, or of each of its members, in order.

    With `event_limits` binary logs of Windows are read, in the stead of being refused.
    """

    def __init__(
        self, owner: str, size: int, block_bytes: int, report: DecodeReport, event_limits: Limits | None = None
    ) -> None:
        self._event_limits = event_limits
        self._owner, self._size, self._block_bytes, self._report = owner, size, block_bytes, report
        self._members = 0
        self._given = 0

    def streams(
        self, name: str, plain: Iterator[bytes], file: BinaryIO | None = None, depth: int = 0
    ) -> Iterator[tuple[str, Iterator[bytes] | EventLog]]:
        """Yield (name, plain bytes) of what `plain`, which is not compressed, holds; each to be read before the next.

        `file` has the same bytes where they can be read from any place.
        """
        head, plain = peek(plain, HEAD_BYTES)
        kind = kind_of(head, name)
        if kind is None:
            yield name, gathered(self._bounded(plain) if depth else plain, self._block_bytes)
        elif kind == _EMPTY_TAR:
            self._report.ignored.append((name, "an empty archive"))
        elif kind == _EVTX and self._event_limits is not None:
            in_place = file if head.startswith(b"ElfFile") else None
            yield from self._event_log(name, self._bounded(plain) if depth else plain, in_place, self._event_limits)
        elif kind not in (_ZIP, _PARQUET, _TAR):
            self._refuse(name, f"{kind}, which is not read; deliver it plain, or in gzip, zstd, bzip2, xz, zip or tar")
        elif depth == MAX_DEPTH:
            self._refuse(name, f"lies in {depth} archives in one another; unpack the outer ones")
        elif kind == _TAR:
            yield from self._tar(name, plain, depth)
        elif file is not None and head[:4] in (b"PK\x03\x04", b"PK\x05\x06", b"PAR1"):
            yield from self._read_backwards(name, kind, file, depth, None)
        else:
            with tempfile.TemporaryFile() as spool:
                damage = None
                try:
                    spool.writelines(self._bounded(plain))
                except Broken as problem:
                    damage = problem
                yield from self._read_backwards(name, kind, spool, depth, damage)

    def _event_log(
        self, name: str, plain: Iterator[bytes], file: BinaryIO | None, limits: Limits
    ) -> Iterator[tuple[str, Iterator[bytes] | EventLog]]:
        from ingest.decode.evtx import ADVICE, EventLog, parser_of

        if (parser := parser_of()) is None:
            self._refuse(name, f"{_EVTX}, {ADVICE}")
            return
        if file is not None:
            yield name, EventLog(parser, file, None, limits, self._report)
            return
        with tempfile.TemporaryFile() as spool:
            damage = None
            try:
                spool.writelines(plain)
            except Broken as problem:
                damage = str(problem)
            yield name, EventLog(parser, spool, damage, limits, self._report)

    def _refuse(self, name: str, why: str) -> None:
        self._report.refused.append((name, f"{name}: {why}"))

    def _bounded(self, plain: Iterator[bytes]) -> Iterator[bytes]:
        """The same bytes. Raises Broken when the object's members are more than any honest archive holds."""
        for chunk in plain:
            self._given += len(chunk)
            if self._given > BOMB_BYTES and self._given > BOMB_RATIO * max(self._size, 1):
                raise Broken(f"the archive of {self._size:,} bytes holds more than {self._given:,}, as a bomb does")
            yield chunk

    def _read_backwards(
        self, name: str, kind: str, file: BinaryIO, depth: int, damage: Broken | None
    ) -> Iterator[tuple[str, Iterator[bytes] | EventLog]]:
        """The members of a zip, or the rows of Parquet. `damage` is why the file is shorter than it was."""
        file.seek(0)
        if kind == _PARQUET:
            yield name, gathered(rows_as_json(file), self._block_bytes)
            return
        try:
            members = zip_members(file)
        except Broken as problem:
            yield name, _broken(damage or problem)
            return
        if not members:
            self._report.ignored.append((name, "an empty archive"))
        if any(each.name == "[Content_Types].xml" for each in members):
            self._refuse(name, "an Office document, which is not read; export it as JSON or CSV")
            return
        declared = sum(each.size for each in members if not each.refused)
        if declared > BOMB_BYTES and declared > BOMB_RATIO * max(file.seek(0, 2), 1):
            self._refuse(name, f"says that it holds {declared:,} bytes, as a bomb does; nothing of it was read")
            return
        for each in members:
            yield from self._member(name, each, depth)
        if damage is not None:
            yield name, _broken(damage)

    def _member(self, archive: str, member: Member, depth: int) -> Iterator[tuple[str, Iterator[bytes] | EventLog]]:
        name = f"{archive}!{member.name}"
        while name in self._report.members:  # archives may hold several of one name
            name += "#2"
        self._members += 1
        if member.ignored:
            self._report.ignored.append((name, member.ignored))
        elif member.refused:
            self._refuse(name, member.refused)
        elif self._members > MAX_MEMBERS:
            if self._members == MAX_MEMBERS + 1:
                self._refuse(name, f"only the first {MAX_MEMBERS:,} members of an object are read; deliver it in parts")
        else:
            self._report.members[name] = self._owner
            yield from self.streams(name, decompressed(member.stored(), member.packed_size), None, depth + 1)

    def _tar(self, name: str, plain: Iterator[bytes], depth: int) -> Iterator[tuple[str, Iterator[bytes] | EventLog]]:
        tar = _Tar(plain)
        found = 0
        while (member := tar.next_member()) is not None:
            found += 1
            content = member.stored()
            yield from self._member(name, replace(member, stored=content.__iter__), depth)
            with suppress(Broken):
                for _ in content:  # what was passed over
                    pass
        if tar.damage is not None:
            yield name, _broken(tar.damage)
        elif not found:
            self._report.ignored.append((name, "an empty archive"))


def _broken(error: Broken) -> Iterator[bytes]:
    raise error
    yield b""


class _Tar:
    """A tar archive as it streams by: ustar, GNU and pax, one behind the other too."""

    def __init__(self, plain: Iterator[bytes]) -> None:
        self._cursor = Cursor(plain)
        self.damage: Broken | None = None

    def next_member(self) -> Member | None:
        """Return the next member, or None at the end; `damage` then says why it ends too early, if it does."""
        name, size = "", None
        sparse = False
        while (header := self._header()) is not None:
            info = self._read(header)
            if info is None:
                return None
            if info.type in (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK):
                text = self._text(info.size)
                name = text.rstrip("\0") if info.type == tarfile.GNUTYPE_LONGNAME else name
            elif info.type in (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.XGLTYPE):
                text = self._text(info.size)
                told = {} if info.type == tarfile.XGLTYPE else _pax(text)
                name = told.get("GNU.sparse.name", told.get("path", name))
                size = int(told["size"]) if told.get("size", "").isdigit() else size
                sparse = sparse or any(key.startswith("GNU.sparse") for key in told)
            else:
                shown = _shown(name or info.name)
                length = info.size if size is None else size
                return Member(shown, length, length, partial(self._data, length), *_judged(info, shown, length, sparse))
        return None

    def _header(self) -> bytes | None:
        """The next block that is not all zeros, or None at the end."""
        while True:
            block = self._bytes(_TAR_BLOCK)
            if len(block) == _TAR_BLOCK and block.strip(b"\0"):
                return block
            if len(block) < _TAR_BLOCK:
                why = self._cursor.broken or ("the tar archive ends inside a header" if block.strip(b"\0") else None)
                self.damage = Broken(why) if why else self.damage
                return None

    def _read(self, header: bytes) -> tarfile.TarInfo | None:
        try:
            info = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
        except tarfile.HeaderError as problem:
            place = self._cursor.offset - _TAR_BLOCK
            self.damage = Broken(f"the tar archive has no readable header at byte {place:,}: {problem}")
            return None
        if info.type in (tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE) or info.size < 0:
            info.size = 0
        return info

    def _bytes(self, count: int) -> bytes:
        while len(self._cursor.data) < count and self._cursor.fill():
            pass
        return self._cursor.take(min(count, len(self._cursor.data)))

    def _text(self, size: int) -> str:
        kept = bytearray()
        try:
            for part in self._data(size):
                kept += part[: _MOST_PAX_BYTES - len(kept)]
        except Broken as problem:
            self.damage = problem
        return kept.decode("utf-8", "surrogateescape")

    def _data(self, size: int) -> Iterator[bytes]:
        left = size
        while left:
            if not self._cursor.data and not self._cursor.fill():
                why, self._cursor.broken = self._cursor.broken, None
                raise Broken(why or f"the tar archive ends {left:,} bytes before the end of this member")
            part = self._cursor.take(min(left, len(self._cursor.data)))
            left -= len(part)
            yield part
        self._bytes(-size % _TAR_BLOCK)


def _judged(info: tarfile.TarInfo, name: str, size: int, sparse: bool) -> tuple[str, str]:
    """Why a member is passed over, and why one that may be data is not read; both empty for what is read."""
    if info.type == tarfile.DIRTYPE or name.endswith("/"):
        return "folder", ""
    if info.type in (tarfile.LNKTYPE, tarfile.SYMTYPE):
        return "a link", ""
    if info.type in (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE):
        return "a device", ""
    if sparse or info.type == tarfile.GNUTYPE_SPARSE:
        return "", "a sparse file, which is not read; make the archive without --sparse"
    if info.type not in (*tarfile.REGULAR_TYPES,):
        return "", f"a member of the unknown kind {info.type!r}"
    return why_ignored(name) or ("" if size else "empty"), ""


def _pax(text: str) -> dict[str, str]:
    """The keys of an extended header ("%d %s=%s\\n", POSIX pax, "pax Extended Header")."""
    return dict(re.findall(r"(?:^|\n)\d+ ([^=\n]+)=([^\n]*)", text))


def _shown(name: str) -> str:
    raw = name.encode("utf-8", "surrogateescape")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return escaped(raw)
