"""The values of one row: whether and where they account for a value of its record (`values.py` reads records)."""

from collections.abc import Sequence
from typing import Any

from lake.ocsf.accounts.known import Node, Places
from lake.ocsf.accounts.labelled import Kinds
from lake.ocsf.accounts.texts import (
    ESCAPED,
    LITTLE_LENGTH,
    SHORT,
    TIME,
    encoded,
    forms_of,
    is_little,
    json_of,
    labelled,
    leaves,
    number_in,
    other_forms,
    parts_of,
    pieces,
    plain_number,
    says_little,
    short_forms,
    short_parts,
    smaller_parts,
)

SEPARATOR = "\x1f"
PLACED, DERIVED, CODED, DROPPED, ABSENT = "placed", "derived", "coded", "dropped", "absent"

UNSAID = frozenset(("", "0", "99", "[]", "{}"))  # of an attribute: it says nothing, or Other
_NOTHING: dict[str, Any] = {}
_WIDEST_ZONE = 14 * 3600  # seconds
_FEW_PARTS = 8  # more are looked up in an index of the row
_ENDS = frozenset('\x1f\\/@,;=|:"[]{}')  # what stands between the parts of a value


class Row:
    """The values of one row. What few rows are asked for is made when it is asked for.

    `used` are the places whose values account for what was asked since it was emptied, `needed` are texts in JSON that
    do, and `absent` are those that would and that the row does not have; both in lower case. The answers are the same
    for every row with the same values there, all of the texts needed and none of the absent, unless `is_sure` is false:
    something was asked that the whole row has to answer.
    """

    __slots__ = ("_folded", "_found", "_index", "_is_whole", "_opened", "_places", "_raw", "_text",
                 "absent", "held", "is_sure", "needed", "used", "values")  # fmt: skip

    def __init__(self, places: Places, raw: str, row: str, values: list[str]) -> None:
        self._is_whole = len(values) == places.width
        if not self._is_whole:  # a value has a separator: nobody knows where the others stand
            values = [*[""] * places.width, *values]
        self._places, self._raw, self._text, self.values = places, raw, row, values
        self._folded = ""
        self._index: dict[str, int] | None = None  # values and texts in JSON, in lower case → place
        self._opened: list[tuple[str, str]] | None = None
        self._found = ""  # the text last found, with what stands at its ends
        self.held: dict[str, Any] = _NOTHING  # what `unmapped` says, by path
        self.ask_anew()

    def ask_anew(self) -> None:
        """Forget what was asked."""
        self.used: list[int] = []
        self.needed: list[str] = []
        self.absent: list[str] = []
        self.is_sure = self._is_whole

    @property
    def folded(self) -> str:
        """The row in lower case, between separators."""
        if not self._folded:
            self._folded = f"{SEPARATOR}{self._text.lower()}{SEPARATOR}"
        return self._folded

    def has_all(self, folded: Sequence[str]) -> bool:
        """Whether all of some texts are in the row."""
        row = self.folded
        return all(each in row for each in folded)

    def has_any(self, folded: Sequence[str]) -> bool:
        """Whether any of some texts stands in the row, or is in it, if it is a member of JSON."""
        row = self.folded
        return any(each in row and ('":' in each or self._place(each) >= 0) for each in folded)

    def lacks_whole(self) -> None:
        """Note that no JSON column of the row is what was asked for."""
        self.used += self._places.as_json

    def has_whole(self, name: str) -> bool:
        """Whether a JSON column of the row is what the record has under a name."""
        for number in self._places.as_json:
            text = self.values[number]
            if text and text not in UNSAID and f'"{name}":{text}' in self._raw:
                self.used.append(number)
                return True
        return False

    def how(self, text: str, node: Node) -> str:
        """Return how a value is accounted for; "" when it is not.

        What holds for a text of a field while the row has one certain value at one place is looked for once.
        """
        values = self.values
        if values[node.place] == text and (len(text) > LITTLE_LENGTH or not says_little(text)):
            self.used.append(node.place)
            return PLACED
        if (held := node.memo.get(text)) is not None:
            place, value, how = held
            if place < 0 and value in self.folded:
                self.needed.append(value)
                return how
            if place >= 0 and values[place] == value:
                self.used.append(place)
                return how
        if node.dropped:
            return DROPPED
        self._found = ""
        if text in self._places.absent or text.isspace():
            return ABSENT
        for place in node.coded:
            self.used.append(place)
            if values[place] not in UNSAID:
                return self._keep(text, node, place, CODED)
        if len(text) <= LITTLE_LENGTH and says_little(text):
            place = self._like_place(text, node)
            return self._keep(text, node, place, PLACED) if place >= 0 else ""
        if self._is_part(text, node.inside):
            return PLACED
        if "\n" in text and (of_lines := self._of_lines(text, node)) is not None:
            return of_lines
        if text in values:
            node.place = values.index(text)
            self.used.append(node.place)
            return PLACED
        if is_escaped := ESCAPED.search(text) is not None and "\\" in self._text:
            place = self._place_as_json(text)
            if place >= 0:
                return self._keep(text, node, place, PLACED)
        forms = short_forms(text) if len(text) < SHORT else forms_of(text)
        if values[node.inside] in forms:
            self.used.append(node.inside)
            return PLACED
        for form in forms:
            place = self._place(form)
            if place >= 0:
                node.inside = place
                return self._keep(text, node, place, PLACED)
        if node.is_time:
            self.used.append(0)
            if self._is_instant(text, forms):
                return DERIVED
        parts = short_parts(text) if len(text) < SHORT else parts_of(text)
        if (parts and self._has_all(parts)) or (text[0] in "{[" and self._is_json_of_values(text, node)):
            return DERIVED
        self.absent += forms
        self.is_sure &= ESCAPED.search(text) is None  # else JSON may have it otherwise
        return PLACED if is_escaped and self._is_leaf(text) else ""

    def _of_lines(self, text: str, node: Node) -> str | None:
        """How the values of labelled lines are accounted for, where texts like it were seen; None where not."""
        if not (found := labelled(text)):
            return None
        if node.kinds is None:
            node.kinds = Kinds()
        if (known := node.kinds.rest(text[: text.index("\n")], found, self.values)) is None:
            return None
        kind, rest = known
        self.used += kind.places
        if self._has_all(rest):
            return DERIVED
        self.is_sure = False
        return "" if len(text) > max((len(self.values[place]) for place in self._places.as_json), default=0) else None

    def _is_part(self, text: str, place: int) -> bool:
        """Whether the value at a place has a text, with nothing or a separator at both ends."""
        value = self.values[place]
        at, end = value.find(text), len(text)
        if at < 0 or not value:
            return False
        end += at
        if (at == 0 or value[at - 1] in _ENDS or text[0] in _ENDS) and (
            end == len(value) or value[end] in _ENDS or text[-1] in _ENDS
        ):
            self._found = f"{value[at - 1 : at] or SEPARATOR}{text}{value[end : end + 1] or SEPARATOR}".lower()
            self._note(place)
            return True
        return False

    def _place_as_json(self, text: str) -> int:
        """Where JSON has a text with its escapes; -1 for nowhere."""
        written, values = encoded(text), self.values
        return next((place for place in self._places.as_json if written in values[place]), -1)

    def _is_leaf(self, text: str) -> bool:
        """Whether JSON has a text with other escapes, with which it is no shorter."""
        length = len(text)
        longest = max((len(self.values[place]) for place in self._places.as_json), default=0)
        return longest > length and any(text == value for _, value in self._leaves())

    def _keep(self, text: str, node: Node, place: int, how: str) -> str:
        in_json = self._note(place)
        if not self._is_whole:
            return how
        return node.keep(text, -1, self._found, how) if in_json else node.keep(text, place, self.values[place], how)

    def _note(self, place: int) -> bool:
        """Note where a text was found; of a JSON column only that it has it. Returns whether it is one."""
        if self._found and place in self._places.in_json:
            self.needed.append(self._found)
            return True
        self.used.append(place)
        return False

    def _has_all(self, parts: Sequence[str]) -> bool:
        if len(parts) > _FEW_PARTS:
            index = self._index or self._indexed()
            parts = [part for part in parts if part not in index or not self._stands(part)]
        for part in parts:
            forms = (part, *other_forms(part))
            if any(map(self._stands, forms)):
                continue
            smaller = smaller_parts(part)
            lacked = next(((each,) for each in smaller if not self._stands(each)), ())
            if not lacked:
                continue
            self.absent += (*forms, *lacked)
            return False
        return True

    def _indexed(self) -> dict[str, int]:
        """Values and texts in JSON, in lower case → place."""
        values = self.folded[1:-1].split(SEPARATOR)
        self._index = dict(zip(values, range(len(values)), strict=True))
        for place in self._places.as_json if self._is_whole else ():
            if '"' in values[place]:
                self._index.update(dict.fromkeys(values[place].split('"'), place))
        return self._index

    def _is_instant(self, text: str, forms: Sequence[str]) -> bool:
        """Whether a text is the time of the event in some zone, which is a multiple of 15 minutes from UTC."""
        if not TIME.match(text) or not forms[-1].lstrip("-").isdigit() or not self.values[0]:
            return False
        apart = int(forms[-1]) // 1000 - int(self.values[0]) // 1000
        return abs(apart) <= _WIDEST_ZONE and apart % 900 == 0

    def _like_place(self, text: str, node: Node) -> int:
        """Where an attribute of a like name has a text that says little; -1 for nowhere."""
        folded, number, values, related = text.lower(), number_in(text), self.values, self._places.related(node)
        for place in related:
            held = values[place]
            if held and (held.lower() == folded or (number is not None and number_in(held) == number)):
                return place
        row = self.folded
        for name in node.names:
            for each in (f'{name}":{folded}', f'{name}":"{folded}"'):
                if f'{name}":' in row and (at := self._member_at(each)) >= 0:
                    return self._place_at(at)
                self.absent.append(each)
        self.used += related
        return -1

    def has_member(self, text: str, node: Node) -> bool:
        """Whether JSON has a text anywhere under a name, as in lists; slower than what `how` looks at."""
        names, folded = (node.name.lower(), node.path.lower()), text.lower()
        return any(value.lower() == folded and path.lower().endswith(names) for path, value in self._leaves())

    def _member_at(self, written: str) -> int:
        """Where JSON has a member of a name, or of a path that ends with it, with a value; -1 for nowhere."""
        row, at = self.folded, 0
        while (at := row.find(written, at + 1)) >= 0:
            end = at + len(written)
            if row[at - 1] in '".' and (
                written[-1] == '"' or row[end] in ",}]" or row[end : end + 3] in (".0,", ".0}")
            ):
                self._found = row[at - 1 : end + (written[-1] != '"')]
                return at
        return -1

    def _place(self, folded: str) -> int:
        """Where a text stands, with nothing or a separator at both ends; -1 for nowhere."""
        row, at, length = self.folded, 0, len(folded)
        while (at := row.find(folded, at + 1)) >= 0:
            if (row[at - 1] in _ENDS or row[at] in _ENDS) and (
                row[at + length] in _ENDS or row[at + length - 1] in _ENDS
            ):
                self._found = row[at - 1 : at + length + 1]
                return self._place_at(at)
        return -1

    def _place_at(self, at: int) -> int:
        return min(self._folded.count(SEPARATOR, 0, at) - 1, len(self.values) - 1)

    def _stands(self, folded: str) -> bool:
        place = self._index.get(folded, -1) if self._index else -1
        self._found = f'"{folded}"'
        if place < 0:
            place = self._place(folded)
        if place >= 0:
            self._note(place)
        return place >= 0

    def where(self, text: str, node: Node, how: str) -> list[str]:
        """Return where in the row a value stands, or what says it."""
        places = self._places
        if how == DROPPED:
            return [node.dropped]
        if how == CODED:
            return [places.paths[n] for n in node.coded if self.values[n] not in UNSAID]
        if how not in (PLACED, DERIVED):
            return []
        folded = {text.lower(), *other_forms(text)}
        found = [path for path, value in self._leaves() if value.lower() in folded or plain_number(value) in folded]
        if is_little(text):
            like, name = [places.paths[n] for n in places.related(node)], node.name.lower()
            found = [each for each in found if each in like or each.rsplit(".", 1)[-1].lower() == name]
        if not found:
            wanted = {text.lower(), *pieces(text)}
            found = [path for path, value in self._leaves() if wanted & {value.lower(), *pieces(value)}]
        return found

    def _leaves(self) -> list[tuple[str, str]]:
        """Path and text of every value, those in JSON as well, without escapes."""
        if self._opened is None:
            self._opened = []
            for number, (path, value) in enumerate(zip(self._places.paths, self.values, strict=False)):
                if value and number in self._places.as_json:
                    self._opened += leaves(json_of(value), path)
                elif value:
                    self._opened.append((path, value))
        return self._opened

    def _is_json_of_values(self, text: str, node: Node) -> bool:
        found = [each for _, each in leaves(json_of(text))]
        return bool(found) and all(not is_little(each) and self.how(each, node) for each in found)
