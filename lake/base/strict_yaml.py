"""YAML as people mean it: UTF-8 text, no key twice, no names but texts, of bounded depth and size.

PyYAML keeps the last of two equal keys without a word, unfolds aliases without end, and its parser in C ends the whole
process over text that is nested some ten thousand deep. Whoever reads YAML reads it here.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from lake.base.errors import HeadwaterError

MOST_BYTES = 8 << 20
_MOST_DEPTH, _SURVIVED = 100, 1000  # allowed; what the parser in C survives with room
_MOST_VALUES = 100_000  # with aliases unfolded
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast as the one in Python
_FLOW, _INDENT = re.compile(r"[\[{]"), re.compile(r"^[ \t?:-]{200}", re.MULTILINE)
# What PyYAML's constructors raise over a date, a number or a tagged value that there cannot be.
_ODD = (ValueError, TypeError, AttributeError, LookupError, ArithmeticError)

Path = tuple[str, ...]


class BadYaml(HeadwaterError, ValueError):
    """A text that is no YAML, or that says one thing twice; one line, which names the line in the text."""


@dataclass(frozen=True)
class Twice:
    """A key that cannot be used: it stands twice, or is no text. `path` leads to it; `line` counts from 1."""

    path: Path
    line: int
    why: str

    def __str__(self) -> str:
        """Return it as one sentence."""
        return f"{'.'.join(self.path)}: {self.why} (line {self.line})"


@dataclass(frozen=True)
class Document:
    """What a text says: its value, the line of every key by the path to it, and keys that cannot be used."""

    value: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    wrong: tuple[Twice, ...] = ()


def load(text: bytes | str) -> Any:
    """Return what a text says, None for an empty one. Raises BadYaml."""
    return _read(text, lines=False).value


def read(text: bytes | str) -> Document:
    """Return what a text says, with the keys that stand twice told apart: of these `value` holds the last.

    Raises:
        BadYaml: it is not UTF-8, no YAML, too large, or nested too deep.
    """
    return _read(text, lines=True)


def _read(text: bytes | str, lines: bool) -> Document:
    if len(text) > MOST_BYTES:
        raise BadYaml(f"holds {len(text):,} bytes, more than the {MOST_BYTES >> 20} MiB that are read")
    decoded = _decoded(text) if isinstance(text, bytes) else text.removeprefix("\ufeff")
    try:
        if _INDENT.search(decoded) or len(_FLOW.findall(decoded)) > _SURVIVED:
            _refuse_deep(decoded)
        loader = _LOADER(decoded)
        try:
            node = loader.get_single_node()
            if node is None:
                return Document()
            if not lines and _is_plain(node):
                return Document(_constructed(loader, node))
            found: dict[Path, int] = {}
            wrong = tuple(_walk(node, found))
            if wrong and not lines:
                raise BadYaml(str(wrong[0]))
            return Document(_constructed(loader, node), found, wrong)
        finally:
            loader.dispose()
    except yaml.YAMLError as problem:
        raise BadYaml(_sentence(problem)) from None
    except RecursionError:
        raise BadYaml(f"is nested deeper than {_MOST_DEPTH}") from None


def _decoded(text: bytes) -> str:
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = text.count(b"\n", 0, problem.start) + 1
        raise BadYaml(f"is not UTF-8 at byte {problem.start}: save it as UTF-8 (line {line})") from None


def _refuse_deep(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _MOST_DEPTH:
                raise BadYaml(f"is nested deeper than {_MOST_DEPTH} (line {_line(event)})")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _line(part: Any) -> int:
    """Return where an event or a node begins, counted from 1."""
    return int(part.start_mark.line) + 1


def _is_plain(top: yaml.Node) -> bool:
    """Whether nothing is wrong with keys and depth, found out in a third of the time that the walk takes."""
    level, seen = [top] if not isinstance(top, yaml.ScalarNode) else [], 0
    for _ in range(_MOST_DEPTH):
        below: list[yaml.Node] = []
        for node in level:
            inner = node.value
            if isinstance(node, yaml.MappingNode):
                if len({key.value for key, _ in inner if isinstance(key, yaml.ScalarNode)}) < len(inner):
                    return False
                inner = [value for _, value in inner]
            below += [each for each in inner if not isinstance(each, yaml.ScalarNode)]
        level, seen = [each for each in below if each.value], seen + len(below)
        if not level or seen > _MOST_VALUES // 2:
            break
    return not level


def _walk(top: yaml.Node, lines: dict[Path, int]) -> Iterator[Twice]:
    """Note the line of every key and of every item of a list, and yield the keys that cannot be used."""
    waiting: list[tuple[yaml.Node, Path]] = [(top, ())]
    seen = 0
    while waiting:
        node, path = waiting.pop()
        seen += 1
        if seen > _MOST_VALUES or len(path) > _MOST_DEPTH:
            deep = f"is nested deeper than {_MOST_DEPTH}, or refers to itself"
            what = f"unfolds to more than {_MOST_VALUES:,} values by its aliases" if seen > _MOST_VALUES else deep
            raise BadYaml(f"{what} (line {_line(node)})")
        if isinstance(node, yaml.SequenceNode):
            for at, item in enumerate(node.value):
                inner = (*path, str(at))
                lines[inner] = _line(item)
                waiting.append((item, inner))
        elif isinstance(node, yaml.MappingNode):
            known: dict[str, int] = {}
            for key, value in node.value:
                line, name = _line(key), key.value if isinstance(key, yaml.ScalarNode) else "?"
                inner = (*path, name)
                if not isinstance(key, yaml.ScalarNode):
                    yield Twice(inner, line, "a list or a mapping is no key")
                elif name in known:
                    yield Twice(inner, line, f"stands twice, first in line {known[name]}: remove one of them")
                known.setdefault(name, line)
                lines.setdefault(inner, line)
                waiting.append((value, inner))


def _constructed(loader: Any, node: yaml.Node) -> Any:
    try:
        return loader.construct_document(node)
    except _ODD:
        raise BadYaml(_odd_value(loader, node)) from None


def _odd_value(loader: Any, top: yaml.Node) -> str:
    """Return which value cannot be made, with its line."""
    waiting = [top]
    loader.recursive_objects = {}  # of the attempt that failed
    while waiting:
        node = waiting.pop()
        if isinstance(node, yaml.ScalarNode):
            try:
                loader.construct_object(node, deep=True)
            except _ODD:
                return f"{node.value[:40]!r} is no value that there can be (line {_line(node)})"
        else:
            waiting += [each for pair in node.value for each in (pair if isinstance(pair, tuple) else (pair,))]
    return "a value cannot be read"


def _sentence(problem: yaml.YAMLError) -> str:
    """Return what PyYAML says, in one sentence that ends with the line."""
    if not isinstance(problem, yaml.MarkedYAMLError):
        return "not YAML: " + " ".join(str(problem).replace('in "<unicode string>", ', "").split())
    mark = problem.problem_mark or problem.context_mark
    words = ", ".join(each for each in (problem.context, problem.problem) if each)
    return f"not YAML: {' '.join(words.split())}" + (f" (line {mark.line + 1})" if mark else "")
