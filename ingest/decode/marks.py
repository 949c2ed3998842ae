"""Texts that begin or go on in another encoding: byte order marks wherever they stand; UTF-16 and UTF-32 without one.

Loaded when a stream has such a mark, or zero bytes at its begin. Plain UTF-8 never comes here.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from ingest.decode.records import BLANKS, Broken, peek

MARK = codecs.BOM_UTF8
_MARKS = {  # UTF-32's before UTF-16's, which they begin with
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
    MARK: "utf-8",
}
_ASCII = rb"[\t\n\r\x20-\x7e]"
# RFC 4627, section 3: a JSON text begins with two ASCII characters, so its zeros tell the encoding. Of other text more
# characters have to.
_ZEROS = {
    "utf-32-le": re.compile(_ASCII + rb"\0\0\0"),
    "utf-32-be": re.compile(rb"\0\0\0" + _ASCII),
    "utf-16-le": re.compile(rb"[{\[]\0" + _ASCII + rb"\0|(?:" + _ASCII + rb"\0){8}"),
    "utf-16-be": re.compile(rb"\0[{\[]\0" + _ASCII + rb"|(?:\0" + _ASCII + rb"){8}"),
}
# How a text of another encoding begins inside one. These bytes are no UTF-8, and hardly ever characters of the others.
_WIDE = b"|".join(
    (
        rb"\xff\xfe\0\0" + _ASCII + rb"\0\0\0",
        rb"\0\0\xfe\xff\0\0\0" + _ASCII,
        rb"\xff\xfe(?:" + _ASCII + rb"\0){2}",
        rb"\xfe\xff(?:\0" + _ASCII + rb"){2}",
    )
)
_WIDE_IN_UTF8 = re.compile(_WIDE)
_ANY_IN_WIDE = re.compile(_WIDE + rb"|\xef\xbb\xbf" + _ASCII + rb"{4}")
_LONGEST = 8  # bytes that a switch is known by
_QUOTES = re.compile(rb'(?<!\\)(?:\\\\)*"')


def encoding_of(head: bytes) -> tuple[str, int]:
    """Return the encoding that the first bytes of a text tell, and how long its mark is."""
    for mark, encoding in _MARKS.items():
        if head.startswith(mark):
            return encoding, len(mark)
    return next((name for name, shape in _ZEROS.items() if shape.match(head)), "utf-8"), 0


def utf8(plain: Iterator[bytes], *, from_start: bool) -> Iterator[bytes]:
    """The stream in UTF-8, whatever encodings follow each other in it; each change begins with UTF-8's mark.

    `from_start`: its first bytes tell the first encoding; else that is UTF-8.

    Bytes that are not valid UTF-8 pass unchanged (a lone surrogate of UTF-16 becomes such bytes): the record that
    holds them is judged, not the object. Broken comes after what could be read.
    """
    head, plain = peek(plain, 16)
    encoding, skipped = encoding_of(head) if from_start else ("utf-8", 0)
    text = _Text(encoding)
    pending = b""
    broken: Broken | None = None
    ended = False
    while not ended:
        try:
            pending += next(plain)
        except StopIteration:
            ended = True
        except Broken as problem:
            ended, broken = True, problem
        pending, skipped = pending[skipped:], max(0, skipped - len(pending))
        while found := text.switch(pending):
            yield text.read(pending[: found.start()]) + text.left()
            encoding, mark = encoding_of(found[0])
            text = _Text(encoding)
            yield MARK
            pending = pending[found.start() + mark :]
        kept = 0 if ended else _LONGEST + len(pending) % 4  # what follows may show that they are a mark
        if len(pending) > kept:
            yield text.read(pending[: len(pending) - kept])
            pending = pending[len(pending) - kept :]
    if broken is None and (left := text.left()):
        broken = Broken(f"{encoding[:6].upper()} text ends inside a character, after the bytes {left.hex(' ')}")
    if broken is not None:
        raise broken


class _Text:
    """The part of a stream that is in one encoding."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._width = int(encoding[4:6]) // 8 if encoding != "utf-8" else 1
        self._decoder = codecs.getincrementaldecoder(encoding)("surrogatepass") if encoding != "utf-8" else None

    def switch(self, text: bytes) -> re.Match[bytes] | None:
        """Where another encoding begins in what has not been read, if anywhere."""
        found = (_WIDE_IN_UTF8 if self._decoder is None else _ANY_IN_WIDE).finditer(text)
        return next((each for each in found if each.start() % self._width == 0), None)

    def read(self, raw: bytes) -> bytes:
        """The same text in UTF-8."""
        if self._decoder is None:
            return raw
        try:
            return self._decoder.decode(raw).encode("utf-8", "surrogatepass")
        except UnicodeDecodeError as problem:  # of UTF-32 alone: most numbers are no character
            raise Broken(f"{self._encoding.upper()} text cannot be read on: {problem.reason}") from None

    def left(self) -> bytes:
        """The bytes of half a character at the end."""
        return self._decoder.getstate()[0] if self._decoder else b""


def begin_of_text(before: bytes, chunk: bytes, whole: bool) -> int:
    """Where in a chunk a mark begins another text, or -1. `before` is the text in front of it, or not `whole`, its end.

    A mark inside quotes is a character of a value. JSON has no line end inside quotes, so the line so far tells.
    """
    at = chunk.find(MARK)
    while at >= 0:
        if _between_texts(before, chunk, at, whole):
            return at
        at = chunk.find(MARK, at + len(MARK))
    return -1


def _between_texts(before: bytes, chunk: bytes, at: int, whole: bool) -> bool:
    begin = chunk.rfind(b"\n", 0, at) + 1
    follows_json = chunk[at + len(MARK) :][:64].lstrip(BLANKS)[:1] in (b"{", b"[")
    if begin:
        line = chunk[begin:at]
    elif whole or b"\n" in before:
        line = before[before.rfind(b"\n") + 1 :] + chunk[:at]
    else:  # a long line: the neighbours have to tell
        return _ends_json((chunk[:at] or before)[-64:]) and follows_json
    if follows_json and line.strip(BLANKS) and not _ends_json(line):
        return False  # one line of a text: taken for JSON it would swallow the lines behind it
    return len(_QUOTES.findall(line)) % 2 == 0


def _ends_json(text: bytes) -> bool:
    return text.rstrip(BLANKS)[-1:] in (b"}", b"]")
