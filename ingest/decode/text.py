"""Bytes to UTF-8: byte order marks, UTF-16, and a lossless notation for what is not text.

Not here: where a record begins and ends.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from ingest.decode.compression import Broken, peek

_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_ESCAPE = re.compile(rb"\\\\|\\x[0-9a-f]{2}")


def utf8(plain: Iterator[bytes]) -> Iterator[bytes]:
    """The stream without its byte order mark, and in UTF-8 if the mark said UTF-16.

    Bytes that are not valid UTF-8 pass unchanged (a lone surrogate of UTF-16 becomes such bytes): the record that
    holds them is judged, not the object.
    """
    head, plain = peek(plain, 3)
    if head.startswith(codecs.BOM_UTF8):
        yield from _without(plain, 3)
    elif head[:2] in _UTF16:
        yield from _from_utf16(_without(plain, 2), _UTF16[head[:2]])
    else:
        yield from plain


def _without(plain: Iterator[bytes], count: int) -> Iterator[bytes]:
    yield next(plain)[count:]
    yield from plain


def _from_utf16(plain: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
    for block in plain:
        yield decoder.decode(block).encode("utf-8", "surrogatepass")
    left = decoder.getstate()[0]
    if left:
        raise Broken(f"UTF-16 text ends inside a character, after the bytes {left.hex(' ')}")


def escaped(raw: bytes) -> str:
    r"""Text for bytes that are not UTF-8: each bad byte as `\xNN`, each backslash doubled, so that nothing is lost."""
    return raw.replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")


def unescaped(text: str) -> bytes:
    """The bytes for which `escaped` gave this text."""
    return _ESCAPE.sub(lambda found: bytes.fromhex(found[0][2:].decode()) or b"\\", text.encode())


def readable(raw: bytes) -> tuple[str, str | None]:
    """The text of a record, and what is wrong with it as text: None, invalid UTF-8 (text escaped) or a NUL byte."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        bad = rf"invalid UTF-8 at byte {error.start + 1:,} (bad bytes are written \xNN, backslashes doubled)"
        return escaped(raw), bad
    at = raw.find(b"\0")
    return text, None if at < 0 else f"NUL byte at byte {at + 1:,}"


def cut_at_character(raw: bytes) -> bytes:
    """`raw` without a UTF-8 character that its end cuts in two."""
    for back in range(1, min(4, len(raw)) + 1):
        byte = raw[-back]
        if byte >= 0xC0:
            needs = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return raw[:-back] if needs > back else raw
        if byte < 0x80:
            return raw
    return raw
