"""One whole JSON document to its records: an array, an envelope such as `{"Records": [...]}`, or a plain record.

Belongs here: sound documents that are held in memory. Damaged, cut off or larger ones go through `splitter.py`, which
gives the same records.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

BLANKS = b" \t\r\n"
# A list of very many tiny elements would cost 60 bytes and more of memory for each; it is split block by block instead.
MAX_COMMAS = 4_000_000
# Characters of keys from rare in JSON logs to frequent; what is not listed is rarer still.
_FREQUENT = b"QZXYJKWVHGFUBOLDMPNRCIASETzqjkxwvybhgfpmduclosnirtae"
LIST_DECODER = msgspec.json.Decoder(list[msgspec.Raw])
ANY_DECODER = msgspec.json.Decoder(msgspec.Raw)


def fault(text: bytes) -> str | None:
    """Why `text` is not one JSON text, or None. Text nested too deeply to be checked counts as a fault."""
    try:
        ANY_DECODER.decode(text)
    except msgspec.DecodeError as error:
        return str(error)
    except RecursionError:
        return "nested too deeply to be checked"
    return None


class Envelopes:
    """Knows under which top-level keys an envelope keeps its records."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        quoted = [f'"{key}"'.encode() for key in keys]
        self._patterns = [_pattern(key) for key in quoted]
        names = b"|".join(re.escape(key) for key in quoted)
        self._opening = re.compile(rb"\s*(?:%s)\s*:\s*" % names) if keys else None
        self._lists = _decoder(keys, list[msgspec.Raw])
        self._values = _decoder(keys, msgspec.Raw)
        self._fields = tuple(f"key_{number}" for number, _ in enumerate(keys))

    def mentioned(self, text: bytes) -> bool:
        """True if a key occurs anywhere in the text."""
        return next(self.places(text), None) is not None

    def places(self, text: bytes) -> Iterator[int]:
        """Places in the text where a key occurs."""
        for rare, pattern in self._patterns:
            if rare in text:
                yield from (found.start() for found in pattern.finditer(text))

    def opens(self, before: bytes) -> bool:
        """True if `before`, the text since the last top-level separator, is a key and its colon."""
        return self._opening is not None and self._opening.fullmatch(before) is not None

    def records(self, text: bytes) -> list[msgspec.Raw] | None:
        """The elements if `text` is a sound envelope whose keys each occur once; else None."""
        if not self.mentioned(text) or _may_be_many(text):
            return None
        try:
            envelope = self._lists.decode(text)
            found = [name for name in self._fields if getattr(envelope, name) is not msgspec.UNSET]
            if len(found) != 1 or self._repeated(text, found[0]):
                return None
            elements: list[msgspec.Raw] = getattr(envelope, found[0])
            return elements
        except (msgspec.DecodeError, RecursionError):
            return None

    def _repeated(self, text: bytes, field: str) -> bool:
        """True if a key stands outside the list a second time: it could hide a list that only the splitter sees."""
        several = [(pattern, times) for _, pattern in self._patterns if (times := _times(pattern, text)) > 1]
        if not several:
            return False
        value = memoryview(getattr(self._values.decode(text), field))
        return any(times - _times(pattern, value) > 1 for pattern, times in several)


def _decoder(keys: tuple[str, ...], type_: Any) -> msgspec.json.Decoder[Any]:
    """A decoder of objects that takes the values of some keys, of `type_` if they are there, and passes by the rest."""
    shape = msgspec.defstruct(
        "Envelope",
        [(f"key_{number}", type_ | msgspec.UnsetType, msgspec.UNSET) for number, _ in enumerate(keys)],
        rename={f"key_{number}": key for number, key in enumerate(keys)},
    )
    return msgspec.json.Decoder(shape)


def _may_be_many(text: bytes) -> bool:
    """True if a list in the text could have more elements than are taken at once; the smallest one takes two bytes."""
    return len(text) > 2 * MAX_COMMAS and text.count(b",") > MAX_COMMAS


def _pattern(quoted: bytes) -> tuple[bytes, re.Pattern[bytes]]:
    """The rarest character of a quoted key, and a pattern that looks for this one first.

    Measured on CloudTrail lines for "Records": the key with `in` 0.7 GB/s, the pattern 3 GB/s, the character with
    `in` 80 GB/s.
    """
    at = min(range(1, len(quoted) - 1), key=lambda place: _FREQUENT.find(quoted[place]), default=0)
    before, rare, after = quoted[: at + 1], quoted[at : at + 1], quoted[at + 1 :]
    return rare, re.compile(re.escape(rare) + b"(?<=" + re.escape(before) + b")(?=" + re.escape(after) + b")")


def _times(pattern: re.Pattern[bytes], text: bytes | memoryview) -> int:
    return sum(1 for _ in pattern.finditer(text))


def records_of(text: bytes, envelopes: Envelopes) -> list[msgspec.Raw] | None:
    """The records of a whole document that begins with a bracket; None if it is damaged or better split."""
    if text.lstrip(BLANKS)[:1] == b"{":
        elements = envelopes.records(text)
        if elements is not None or envelopes.mentioned(text):
            return elements
    try:
        if text.lstrip(BLANKS)[:1] != b"[":
            return [ANY_DECODER.decode(text)]
        return None if _may_be_many(text) else LIST_DECODER.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
