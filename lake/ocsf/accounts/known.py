"""What is known of the names in records, and of the places of the values in rows (`rows.py` asks)."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from lake.ocsf.accounts.labelled import Kinds
from lake.ocsf.accounts.texts import words

_MOST_KEPT = 1000


@dataclass
class Known:
    """What a contract knows of a name in a record, and of the names below it.

    `path` is the field's in the contract; empty where the name only leads to others. `is_open`: any name may stand
    below it. `coded` are attributes that say the value in other words; `dropped` is why the value is worth nothing.
    `is_kept`: it stays in `unmapped`, and is not looked for. `is_spread`: what stands below it counts as standing
    beside it. `is_time`: the event's time, in whatever zone.
    """

    path: str = ""
    is_open: bool = False
    coded: tuple[str, ...] = ()
    dropped: str = ""
    is_kept: bool = False
    is_spread: bool = False
    is_time: bool = False
    below: dict[str, "Known"] = field(default_factory=dict)


class Node:
    """`Known` for the rows of one model: with the places in the row where its value may stand."""

    __slots__ = (
        "below",
        "coded",
        "dropped",
        "inside",
        "is_kept",
        "is_open",
        "is_spread",
        "is_time",
        "kinds",
        "memo",
        "name",
        "names",
        "path",
        "place",
        "raw_path",
        "related",
    )

    def __init__(self, known: Known, name: str, raw_path: str, paths: Sequence[str]) -> None:
        self.name, self.path, self.raw_path = name, known.path or raw_path, raw_path
        self.is_open, self.is_spread, self.is_time = known.is_open, known.is_spread, known.is_time
        self.dropped, self.is_kept = known.dropped, known.is_kept
        self.coded = tuple(number for number, path in enumerate(paths) if path in known.coded)
        folded = name.lower()  # `unmapped` has it under one of these
        self.names = tuple(dict.fromkeys((folded, folded.replace("_", ""), self.path.lower())))
        self.related: tuple[int, ...] | None = None  # made when asked for
        self.kinds: Kinds | None = None  # of texts of labelled lines
        self.place = self.inside = 0  # where its value stood last, as it is, and as a part or in another form
        self.memo: dict[str, tuple[int, str, str]] = {}  # text → place, the value there (-1: in JSON), how it counts
        prefix = f"{raw_path}." if raw_path else ""
        self.below = {each: Node(inner, each, prefix + each, paths) for each, inner in known.below.items()}

    def keep(self, text: str, place: int, value: str, how: str) -> str:
        """Remember what holds for a text, and return how it is accounted for."""
        if len(self.memo) >= _MOST_KEPT:
            self.memo.clear()
        self.memo[text] = (place, value, how)
        return how


class Places:
    """The places of the values in the rows of one model. `absent` are texts that stand for nothing."""

    def __init__(self, paths: Sequence[str], as_json: Sequence[bool], absent: frozenset[str]) -> None:
        self.paths, self.width, self.absent = paths, len(paths), absent
        self.as_json = [number for number, is_json in enumerate(as_json) if is_json]
        self.in_json = frozenset(self.as_json)
        self._words = [words(path) for path in paths]

    def related(self, node: Node) -> tuple[int, ...]:
        """The places of the row whose names are like that of a field."""
        if node.related is None:
            last = node.path.rsplit(".", 1)[-1]
            said, name = words(last), last.lower()
            node.related = tuple(
                number
                for number, (path, held) in enumerate(zip(self.paths, self._words, strict=True))
                if said & held
                or path.rsplit(".", 1)[-1] == name
                or any(len(each) > 3 and each in name for each in held)
            )
        return node.related
