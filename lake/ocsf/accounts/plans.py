"""How records that have the same members are held against their rows: most of a record at once (`values.py` asks).

A shape is learned from a few records. It reads a record as texts, and knows of each what it is to the row: the text of
one place, one of few, or new each time. Texts of places are compared as one text, those that come again are looked up
as one text. The rest is looked at alone, and so is from then on what a shape turns out to be wrong about.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter, itemgetter
from typing import Any, TypeGuard

import msgspec
from msgspec import NODEFAULT, Raw

from lake.ocsf.accounts.known import Node, Places
from lake.ocsf.accounts.rows import SEPARATOR
from lake.ocsf.accounts.texts import LITTLE_LENGTH, is_little

_LEARNED_OF = 8  # records
_WORTH_LEARNING = 32  # rows after which a shape may be found wanting
_MOST_SHAPES = 4  # of objects with the same names
_MOST_NAMES = 64  # of an object that is read member by member
_MOST_KINDS = 500  # of objects at one place, by their names
_LONGEST = 1 << 15  # of an object to learn from
_BARE = re.compile(rb"[-0-9tf]")
_QUOTED_LITTLE = LITTLE_LENGTH + 2
_NO_TEXT = Raw(b'""')

_members = msgspec.json.Decoder(dict[str, Raw]).decode
_Scalar = str | int | float | bool | None
_Texts = Callable[[Any], tuple[Any, ...]]
_Sample = Sequence[tuple[str, list[str]]]  # objects and the values of their rows


class Leaf:
    """A value of a record, or an object or list in it that is looked at alone.

    `at` is where a shape reads it, `chain` the names that lead to it in the record (0: the only one of a list), `node`
    what is known of it (None: nothing), `around` the open objects that it stands in, `plans` those of an object.
    """

    __slots__ = ("around", "at", "chain", "is_bare", "is_coded", "missed", "node", "plans", "target")

    def __init__(self, at: str, chain: tuple[Any, ...], node: Node | None, around: tuple[str, ...]) -> None:
        self.at, self.chain, self.node, self.around = at, chain, node, around
        self.is_coded = self.is_bare = False  # bare: no text, but a number or a truth value
        self.plans: Plans | None = None
        self.missed = 0  # rows in which it was not where, or not what, others were
        self.target: Any = None  # whoever asks keeps here where in `unmapped` it goes


class Shape:
    """Objects whose members have the same names, at every depth that is read.

    `coded` are leaves that the places `coded_at` say; `together` are those that come again with each other, `alone`
    those that do not.
    """

    __slots__ = (
        "_at",
        "_misses",
        "_placed",
        "_places",
        "_rows",
        "_said",
        "_set_at",
        "_unlike",
        "alone",
        "alone_of",
        "coded",
        "coded_at",
        "coded_of",
        "read",
        "together",
        "together_of",
    )  # fmt: skip

    def __init__(
        self, kind: Any, leaves: Sequence[Leaf], sample: Sequence[tuple[str, list[str]]], places: Places
    ) -> None:
        """Learn from objects and their rows what each leaf is. Raises `msgspec.DecodeError`."""
        self.read: Callable[[str], Any] = msgspec.json.Decoder(kind).decode
        self._rows, self._places, self._unlike = 0, {}, []
        self.coded = tuple(leaf for leaf in leaves if leaf.is_coded)
        self.coded_of = _texts(self.coded)
        self.coded_at = _texts_at([leaf.node.coded[0] for leaf in self.coded if leaf.node])
        found, rows = [self.read(each) for each, _ in sample], [row for _, row in sample]
        together: list[Leaf] = []
        alone: list[Leaf] = []
        for leaf in leaves:
            if leaf.is_coded or (leaf.node and leaf.node.dropped):
                continue
            texts = [bytes(attrgetter(leaf.at)(each)) for each in found]
            leaf.is_bare = all(_BARE.match(text) for text in texts)
            if leaf.node and not leaf.node.is_kept and not leaf.plans and (at := _places_of(texts, rows, leaf.is_bare)):
                like = places.related(leaf.node)
                self._places[leaf] = next((place for place in at if place in like), at[0])
                if self._places[leaf] not in like:
                    self._unlike.append(leaf)
            else:
                (together if not leaf.plans and len(set(texts)) <= len(texts) // 2 else alone).append(leaf)
        self._set(together, alone)

    def _set(self, together: Sequence[Leaf], alone: Sequence[Leaf]) -> None:
        self.together, self.alone = tuple(together), tuple(alone)
        self.together_of, self.alone_of, self._placed = _texts(self.together), _texts(self.alone), _texts(self._places)
        self._at = _texts_at(list(self._places.values()))
        self._said = SEPARATOR.join("%s" if leaf.is_bare else '"%s"' for leaf in self._places)
        self._misses, self._set_at = 0, self._rows
        self._unlike = [leaf for leaf in self._unlike if leaf in self._places]
        for leaf in self.together:
            leaf.missed = 0

    def unplaced(self, found: Any, values: Sequence[str]) -> Sequence[Leaf]:
        """Return the leaves that are not at their places; what says little needs a place of a like name."""
        self._rows += 1
        if not self._places:
            return ()
        text = b"\x1f".join(self._placed(found)).decode()
        said = self._said % self._at(values)
        if text == said or text.lower() == (said.replace("\\", "\\\\") if "\\" in said else said).lower():
            for leaf in self._unlike:
                part = bytes(attrgetter(leaf.at)(found))
                if len(part) <= _QUOTED_LITTLE and is_little(_unquoted(part.decode())):
                    break
            else:
                return ()
        return self._misplaced(found, values)

    def _misplaced(self, found: Any, values: Sequence[str]) -> Sequence[Leaf]:
        """The same of a row that lacks what others have; what many lack is looked at alone from then on."""
        missing = []
        for leaf, place in self._places.items():
            text = bytes(attrgetter(leaf.at)(found)).decode()
            said = values[place] if leaf.is_bare else _written(values[place])
            if text.lower() != said.lower() or (leaf in self._unlike and is_little(_unquoted(text))):
                missing.append(leaf)
                leaf.missed += 1
        often = [leaf for leaf in missing if leaf.missed > max(_WORTH_LEARNING, self._rows // 8)]
        for leaf in often:
            del self._places[leaf]
        if often:
            self._set(self.together, (*self.alone, *often))
        return missing

    def miss(self, new: Sequence[Leaf]) -> None:
        """Note that leaves that come together were not known, and which of them were `new` by themselves.

        When that happens in many rows, those that are new often are looked at alone from then on.
        """
        for leaf in new:
            leaf.missed += 1
        self._misses += 1
        if self._misses > _WORTH_LEARNING and self._misses > (self._rows - self._set_at) // 8:
            often = max(leaf.missed for leaf in self.together) // 4
            alone = [leaf for leaf in self.together if leaf.missed >= often]
            self._set([leaf for leaf in self.together if leaf not in alone], (*self.alone, *alone))


class Plans:
    """The shapes of objects at one place of records: `chain` leads there, `around` are the open objects on the way.

    `child` gives what is known of a name in an object.
    """

    def __init__(self, places: Places, node: Node, child: Callable[[Node, str], Node | None],
                 chain: tuple[Any, ...] = (), around: tuple[str, ...] = ()) -> None:  # fmt: skip
        self._places, self._node, self._child, self._chain, self._around = places, node, child, chain, around
        self._shapes: dict[tuple[str, ...], list[Shape]] = {}
        self._samples: dict[tuple[str, ...], list[tuple[str, list[str]]]] = {}
        self._last: Shape | None = None

    def read(self, text: str, values: list[str]) -> tuple[Shape, Any] | None:
        """Return the shape of an object and what it reads of it; None when none is known, or it is no object."""
        if (last := self._last) is not None:
            try:
                return last, last.read(text)
            except msgspec.DecodeError:
                pass
        try:
            names = tuple(_members(text))
        except msgspec.DecodeError:
            return None
        shapes = self._shapes.get(names)
        if shapes is None:
            shapes = self._shapes[names] = []
            if len(self._shapes) > _MOST_KINDS:
                self._shapes.clear()
                self._samples.clear()
        for shape in shapes:
            try:
                found = shape.read(text)
            except msgspec.DecodeError:
                continue
            self._last = shape
            return shape, found
        if len(shapes) < _MOST_SHAPES and len(text) <= _LONGEST:
            sample = self._samples.setdefault(names, [])
            sample.append((text, values))
            if len(sample) >= _LEARNED_OF:
                del self._samples[names]
                self._learn(sample, shapes)
        return None

    def _learn(self, sample: _Sample, shapes: list[Shape]) -> None:
        leaves: list[Leaf] = []
        try:
            objects = [msgspec.json.decode(each) for each, _ in sample]
            kind = self._kind(objects, self._node, "", self._chain, self._around, leaves)
            shapes.insert(0, Shape(kind, leaves, sample, self._places))
        except (msgspec.DecodeError, ValueError):
            return  # a number that no machine holds, or a name with a quote, a backslash or a control character

    def _kind(self, objects: Sequence[Mapping[str, Any]], node: Node, at: str, chain: tuple[Any, ...],
              around: tuple[str, ...], leaves: list[Leaf]) -> Any:  # fmt: skip
        """Return the type that reads such objects; add what it reads to `leaves`."""
        fields: list[tuple[str, Any, Any]] = []
        names = dict.fromkeys(name for each in objects for name in each)
        for number, name in enumerate(names):
            values = [each[name] for each in objects if name in each]
            field, inner, below = f"f{number}", self._child(node, name), (*chain, name)
            inside, in_all = f"{at}.{field}" if at else field, len(values) == len(objects)
            open_ones = (*around, inner.name) if inner is not None and inner.is_open else around
            if in_all and _is_read(inner, values):
                read = self._kind(values, inner, inside, below, open_ones, leaves)
            elif in_all and _are_lists_of_one(values) and _is_read(inner, firsts := [each[0] for each in values]):
                one = self._kind(firsts, inner, f"{inside}.f0", (*below, 0), open_ones, leaves)
                read = msgspec.defstruct("One", [("f0", one)], array_like=True, forbid_unknown_fields=True)
            else:
                leaf, read = Leaf(inside, below, inner, around), Raw
                leaves.append(leaf)
                if inner is not None and not inner.is_kept and not inner.dropped:
                    if any(each.__class__ is dict for each in values):
                        leaf.plans = Plans(self._places, inner, self._child, below, open_ones)
                    elif inner.coded and not any(each.__class__ is list for each in values):
                        leaf.is_coded, read = True, _Scalar
            fields.append((field, read, NODEFAULT if in_all else None if read is not Raw else _NO_TEXT))
        rename = {field: name for (field, *_), name in zip(fields, names, strict=True)}
        return msgspec.defstruct("Read", fields, rename=rename, forbid_unknown_fields=True, kw_only=True)


def _is_read(node: Node | None, values: Sequence[Any]) -> TypeGuard[Node]:
    """Whether values are objects that are read member by member: the contract knows their names, which are few."""
    if node is None or node.is_kept or node.dropped or node.is_open or node.is_spread:
        return False
    if not all(each.__class__ is dict for each in values):
        return False
    return 0 < len({name for each in values for name in each}) <= _MOST_NAMES


def _are_lists_of_one(values: Sequence[Any]) -> bool:
    return all(each.__class__ is list and len(each) == 1 for each in values)


def _places_of(texts: Sequence[bytes], rows: Sequence[Sequence[str]], is_bare: bool) -> list[int]:
    """The places where each row has a text, in whatever case."""
    if not is_bare and (any(text[:1] != b'"' for text in texts) or 2 * texts.count(b'""') > len(texts)):
        return []
    wanted = [text.decode().lower() for text in texts]
    return [
        place
        for place in range(len(rows[0]))
        if all(
            (row[place] if is_bare else _written(row[place])).lower() == text
            for row, text in zip(rows, wanted, strict=True)
        )
    ]


def _unquoted(text: str) -> str:
    return text[1:-1] if text[:1] == '"' else text


def _written(value: str) -> str:
    escaped = value.replace("\\", "\\\\")
    return f'"{escaped}"'


def _texts(leaves: Sequence[Leaf] | Mapping[Leaf, int]) -> _Texts:
    """What gives what a shape reads of leaves."""
    return _tuple_of(attrgetter, [leaf.at for leaf in leaves])


def _texts_at(places: Sequence[int]) -> _Texts:
    """What gives the values of a row at some places."""
    return _tuple_of(itemgetter, places)


def _tuple_of(getter: Callable[..., Any], names: Sequence[Any]) -> _Texts:
    if len(names) > 1:
        several: _Texts = getter(*names)
        return several
    one = getter(names[0]) if names else None
    return lambda found: (one(found),) if one else ()
