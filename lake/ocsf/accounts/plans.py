"""How records that have the same members are held against their rows: most members at once (`values.py` asks).

A plan is learned from a few rows. It says which members have the text of one place of the row, whatever that is: they
are compared as one text. Others come again with each other: they are looked up as one text. The rest is looked at
alone, and so is from then on what a plan turns out to be wrong about.
"""

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from msgspec import Raw

from lake.ocsf.accounts.rows import SEPARATOR, Node, Places
from lake.ocsf.accounts.texts import LITTLE_LENGTH, is_little

_LEARNED_OF = 8  # rows
_WORTH_LEARNING = 32  # rows after which a plan may be found wanting
_BETWEEN = f'"{SEPARATOR}"'
_QUOTED_LITTLE = LITTLE_LENGTH + 2


class Plan:
    """What was learned of records with the same members; not yet when `is_learned` is false.

    `together` are members that come again with each other, with where they stand in the record; `others` are left.
    """

    __slots__ = (
        "_at",
        "_failed",
        "_missed",
        "_misses",
        "_of",
        "_placed",
        "_rows",
        "_sample",
        "_set_at",
        "_unlike",
        "is_learned",
        "others",
        "together",
        "together_of",
    )

    def __init__(self) -> None:
        self._sample: list[tuple[dict[str, Raw], list[str]]] = []
        self._placed: dict[str, tuple[int, int]] = {}  # name → where it stands in the record, and in the row
        self._unlike: tuple[str, ...] = ()  # names that are not like that of the place
        self._failed: dict[str, int] = {}
        self._rows = 0
        self.is_learned = False

    def learn(self, members: dict[str, Raw], values: list[str], below: Mapping[str, Node], places: Places) -> None:
        """Learn from a record and its row."""
        self._sample.append((members, values))
        if len(self._sample) < _LEARNED_OF:
            return
        together: list[tuple[int, str]] = []
        others: list[tuple[int, str]] = []
        for number, name in enumerate(members):
            texts = [bytes(each[name]).decode() for each, _ in self._sample]
            node = below.get(name)
            like = places.related(node) if node else ()
            if node and not node.is_kept and (found := self._places_of(texts)):
                place = next((place for place in found if place in like), found[0])
                self._placed[name] = (number, place)
                if place not in like:
                    self._unlike += (name,)
            else:
                (together if len(set(texts)) <= _LEARNED_OF // 2 else others).append((number, name))
        self._set(together, others)
        self._sample, self.is_learned = [], True

    def _places_of(self, texts: Sequence[str]) -> list[int]:
        """The places where each row of the sample has the text of a member."""
        if texts[0][0] != '"' or texts[0] == '""':
            return []
        rows = [values for _, values in self._sample]
        return [
            place
            for place in range(len(rows[0]))
            if all(_written(row[place]) == text for row, text in zip(rows, texts, strict=True))
        ]

    def _set(self, together: Sequence[tuple[int, str]], others: Sequence[tuple[int, str]]) -> None:
        self.together, self.others = tuple(together), tuple(others)
        self.together_of = _getter([name for _, name in together])
        self._misses, self._missed = 0, dict.fromkeys((name for _, name in together), 0)
        self._set_at = self._rows
        self._of, self._at = _getter(tuple(self._placed)), _getter([place for _, place in self._placed.values()])
        self._unlike = tuple(name for name in self._unlike if name in self._placed)

    def unplaced(self, members: dict[str, Raw], values: list[str]) -> Sequence[tuple[int, str]]:
        """Return the members that are to be looked at alone; what says little needs a place of a like name."""
        self._rows += 1
        if self._of is None or self._at is None:
            return self.others
        text = b"\x1f".join(self._of(members)).decode()
        said = f'"{_BETWEEN.join(self._at(values))}"'
        if text == said or ("\\" in text and text == said.replace("\\", "\\\\")):
            for name in self._unlike:
                if len(members[name]) <= _QUOTED_LITTLE and is_little(bytes(members[name])[1:-1].decode()):
                    break
            else:
                return self.others
        return self._others_of(members, values)

    def _others_of(self, members: dict[str, Raw], values: list[str]) -> Sequence[tuple[int, str]]:
        """The same of a row that lacks what others have as it is; what many lack is looked at alone from then on."""
        found = []
        for name, (number, place) in self._placed.items():
            text = bytes(members[name]).decode()
            if text != _written(values[place]) or (name in self._unlike and is_little(text[1:-1])):
                found.append((number, name))
                self._failed[name] = self._failed.get(name, 0) + 1
        others = (*self.others, *found)
        often = [each for each in found if self._failed[each[1]] > max(_WORTH_LEARNING, self._rows // 8)]
        for each in often:
            del self._placed[each[1]]
        if often:
            self._set(self.together, (*self.others, *often))
        return others

    def miss(self, new: Sequence[str]) -> None:
        """Note that the members that come together were not known, and which of them were `new` by themselves.

        When that happens in many rows, members that are new often are looked at alone from then on.
        """
        missed = self._missed
        for name in new:
            missed[name] += 1
        self._misses += 1
        if self._misses > _WORTH_LEARNING and self._misses > (self._rows - self._set_at) // 8:
            often = max(missed.values()) // 4
            alone = [each for each in self.together if missed[each[1]] >= often]
            self._set([each for each in self.together if each not in alone], [*self.others, *alone])


def _written(value: str) -> str:
    escaped = value.replace("\\", "\\\\")
    return f'"{escaped}"'


def _getter(names: Sequence[Any]) -> Callable[[Any], tuple[Any, ...]] | None:
    """What gives the items of several names; None of no name."""
    return itemgetter(*names, *names[: len(names) == 1]) if names else None
