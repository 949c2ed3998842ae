"""Texts of lines `Label: value`, as the messages of Windows events are: where rows have the values (`rows.py` asks).

Texts with the same first line and as many values are alike. Where the values of one stand in its row is learned once;
of the next, the values are held against those places.
"""

from collections.abc import Callable, Sequence
from operator import itemgetter

from lake.ocsf.accounts.texts import PLACEHOLDERS, is_little, other_forms

_MOST_KINDS, _LONGEST_NAME = 500, 200
_WORTH_LEARNING = 32  # texts after which a place may be found wanting


class Kind:
    """Where the rows of texts of one kind have their values: as they are, in another form, or nobody knows."""

    __slots__ = ("_at", "_in_forms", "_little", "_missed", "_places", "_rest", "_seen", "_texts", "places")

    def __init__(self, found: Sequence[str], values: Sequence[str]) -> None:
        index = {value.lower(): place for place, value in enumerate(values) if value}
        self._at: dict[int, int] = {}  # number of a value → place
        self._in_forms: list[tuple[int, int]] = []
        self._little: list[int] = []
        self._rest: list[int] = []
        self._seen, self._missed = 0, dict.fromkeys(range(len(found)), 0)
        for number, each in enumerate(found):
            if _says_nothing(text := each.lower()):
                self._little.append(number)
            elif text in index:
                self._at[number] = index[text]
            elif (form := next((form for form in other_forms(text) if form in index), "")) != "":
                self._in_forms.append((number, index[form]))
            else:
                self._rest.append(number)
        self._set()

    def _set(self) -> None:
        self.places = (*self._at.values(), *(place for _, place in self._in_forms))
        self._texts, self._places = _several(list(self._at)), _several(list(self._at.values()))

    def rest(self, found: Sequence[str], values: Sequence[str]) -> list[str]:
        """Return the values that are not where they were, to be looked for in the whole row, in lower case."""
        self._seen += 1
        texts, held = self._texts(found), self._places(values)
        rest = [found[number].lower() for number in self._rest]
        if texts != held and "\n".join(texts).lower() != "\n".join(held).lower():
            rest += self._missing(found, values)
        for number, place in self._in_forms:
            if values[place] not in other_forms(found[number]):
                rest.append(found[number].lower())
        return rest + [text for number in self._little if not _says_nothing(text := found[number].lower())]

    def _missing(self, found: Sequence[str], values: Sequence[str]) -> list[str]:
        """The same of values that were in rows as they are; those that miss often have no place from then on."""
        missing = [number for number, place in self._at.items() if found[number].lower() != values[place].lower()]
        for number in missing:
            self._missed[number] += 1
            if self._missed[number] > max(_WORTH_LEARNING, self._seen // 8):
                del self._at[number]
                self._rest.append(number)
                self._set()
        return [text for number in missing if not _says_nothing(text := found[number].lower())]


class Kinds:
    """The kinds of texts of one field."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, int], Kind] = {}

    def rest(self, first: str, found: Sequence[str], values: Sequence[str]) -> tuple[Kind, list[str]] | None:
        """Return the kind of a text and what of it is to be looked for; None where it is to be looked for whole.

        `first` is the first line, `found` are the values of the lines, `values` those of the row.
        """
        key = first[:_LONGEST_NAME], len(found)
        if (kind := self._kinds.get(key)) is not None:
            return kind, kind.rest(found, values)
        if len(self._kinds) >= _MOST_KINDS:
            self._kinds.clear()
        self._kinds[key] = Kind(found, values)
        return None


def _says_nothing(text: str) -> bool:
    return text in PLACEHOLDERS or is_little(text)


def _several(numbers: Sequence[int]) -> Callable[[Sequence[str]], Sequence[str]]:
    """What gives the texts at some numbers, as one sequence whatever their number."""
    if len(numbers) > 1:
        several: Callable[[Sequence[str]], Sequence[str]] = itemgetter(*numbers)
        return several
    return lambda texts: [texts[number] for number in numbers]
