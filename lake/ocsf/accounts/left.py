"""What is left of records, as `unmapped` has it: by path (`values.py` asks)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from lake.ocsf.accounts.known import Node
from lake.ocsf.accounts.plans import Leaf
from lake.ocsf.accounts.rows import Row
from lake.ocsf.accounts.texts import text_of

encode = msgspec.json.Encoder(order="deterministic").encode
_HERE = object()


def by_leaf(left: Iterable[tuple[Leaf, Any]], top: Node, row: Row) -> dict[str, Any]:
    """What is left of leaves by path: those of one object stay together where that has a path."""
    found: list[tuple[str, Any]] = []
    trees: dict[tuple[Any, ...], Any] = {}
    for leaf, rest in left:
        if leaf.around and any(map(row.has_whole, leaf.around)):
            continue
        path, root, inside = leaf.target or _target(leaf, top)
        if inside:
            tree = trees.get(root)
            if tree is None:
                tree = trees[root] = _new(inside[0])
                found.append((path, tree))
            _put(tree, inside, rest)
        elif rest.__class__ is dict:
            found += flat(_chained(leaf.chain, rest), top)
        else:
            found.append((path, rest))
    return by_path(found)


def _target(leaf: Leaf, top: Node) -> tuple[str, tuple[Any, ...], tuple[Any, ...]]:
    """Where what is left of a leaf goes: the path, the steps of the record that it stands for, and those inside."""
    ((path, below),) = flat(_chained(leaf.chain, _HERE), top)
    steps = len(leaf.chain)
    while below is not _HERE:
        (below,) = below.values() if below.__class__ is dict else below
        steps -= 1
    target = leaf.target = path, leaf.chain[:steps], leaf.chain[steps:]
    return target


def _chained(chain: Sequence[Any], value: Any) -> Any:
    """A value within the objects and lists that lead to it."""
    for step in reversed(chain):
        value = [value] if step == 0 else {step: value}
    return value


def _new(step: Any) -> Any:
    return [] if step == 0 else {}


def _put(tree: Any, steps: Sequence[Any], value: Any) -> None:
    """Put a value where the steps lead to."""
    for number, step in enumerate(steps, 1):
        last = number == len(steps)
        if step == 0:
            if not tree:
                tree.append(value if last else _new(steps[number]))
            tree = tree[0]
        elif last:
            tree[step] = value
        else:
            tree = tree.setdefault(step, _new(steps[number]))


def flat(left: Mapping[str, Any], node: Node) -> Iterator[tuple[str, Any]]:
    """What is left by path: names that only lead to others become part of it."""
    for name, rest in left.items():
        inner = node.below.get(name)
        if inner is not None and isinstance(rest, dict) and inner.below and (inner.is_spread or not inner.is_open):
            yield from flat(rest, inner)
        elif node.is_spread:
            yield (inner.path.removeprefix(f"{node.raw_path}.") if inner else name), rest
        else:
            yield (inner.path if inner else f"{node.raw_path}.{name}" if node.raw_path else name), rest


def by_path(left: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """What is left by path; of two names of one path both values stay."""
    items = list(left)
    found = dict(items)
    if len(found) < len(items):
        found = {}
        for path, value in sorted(items, key=encode):
            name, number = path, 2
            while name in found and found[name] != value:
                name, number = f"{path}_{number}", number + 1
            found[name] = value
    return found


def merged(held: Any, left: Mapping[str, Any]) -> dict[str, Any]:
    """`unmapped` with what is left; what it has itself stays as it is."""
    found = held if isinstance(held, dict) else {"text": held}
    for key, value in left.items():
        if key not in found:
            found[key] = value
        elif isinstance(found[key], dict) and isinstance(value, dict):
            found[key] = merged(found[key], value)
        elif isinstance(found[key], list) and isinstance(value, list):
            found[key] += [each for each in value if each not in found[key]]
        elif found[key] != value and text_of(found[key]) != text_of(value):
            number = 2
            while f"{key}_{number}" in found:
                number += 1
            found[f"{key}_{number}"] = value
    return found
