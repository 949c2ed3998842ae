"""STIX patterns that name single observables: the observables. Any other pattern: why it names none.

Source: STIX 2.1, section 9 (docs.oasis-open.org/cti/stix/v2.1). Most patterns are one comparison or several with OR
between them; those are read here, at once. Everything else goes through OASIS's grammar (`stix2-patterns`), which
takes some milliseconds a pattern.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from ingest.reference.observables import NotObservable, observables

MAX_PATTERN = 64 * 1024

_PATHS = {
    "ipv4-addr:value": "ip",
    "ipv6-addr:value": "ip",
    "domain-name:value": "domain",
    "url:value": "url",
    "email-addr:value": "email",
    "vulnerability:name": "cve",
}
_HASH_PATH = re.compile(r"(file|artifact|x509-certificate):hashes[.]", re.IGNORECASE)
_COMPARISON = r"([a-z0-9-]+:[A-Za-z0-9_.'-]+)\s*=\s*'((?:[^'\\]|\\.)*)'"
_SIMPLE = re.compile(rf"\s*\[\s*{_COMPARISON}\s*\]\s*\Z")
_ONE = re.compile(rf"\s*{_COMPARISON}\s*")
_OR = re.compile(r"OR\b")


class Named(NamedTuple):
    """An observable that a pattern names: kind and text as written."""

    kind: str
    text: str


class NoSingleObservable(ValueError):
    """A pattern that no single observable fulfils, or that the grammar does not take; the message says why."""


def named_by(pattern: str) -> list[Named]:
    """Return the observables of which each one alone fulfils the pattern. Raises NoSingleObservable."""
    if len(pattern) > MAX_PATTERN:
        raise NoSingleObservable(f"a pattern of {len(pattern):,} characters is longer than {MAX_PATTERN:,}")
    if found := _SIMPLE.match(pattern):
        return [_named(found[1], _unescaped(found[2]))]
    return _simple_or(pattern) or _by_grammar(pattern)


def _simple_or(pattern: str) -> list[Named]:
    """`[a = 'x' OR b = 'y'] OR [c = 'z']`; empty when it is anything else."""
    found: list[Named] = []
    at, inside = 0, False
    text = pattern.strip()
    while at < len(text):
        if not inside:
            if text[at] != "[":
                return []
            at, inside = at + 1, True
        one = _ONE.match(text, at)
        if not one:
            return []
        found.append(_named(one[1], _unescaped(one[2])))
        at = one.end()
        if text[at : at + 1] == "]":
            at, inside = at + 1, False
            at += len(text[at:]) - len(text[at:].lstrip())
            if at == len(text):
                return found
        joined = _OR.match(text, at)
        if not joined:
            return []
        at = joined.end()
        at += len(text[at:]) - len(text[at:].lstrip()) if not inside else 0
    return []


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text) if "\\" in text else text


def _named(path: str, text: str) -> Named:
    """The observable of one equality. Raises NoSingleObservable: its path or its text is none that is looked up."""
    kind = _PATHS.get(path.lower()) or ("hash" if _HASH_PATH.match(path) else "")
    if not kind:
        raise NoSingleObservable(f"{path} is no property by which events are looked up")
    try:
        next(observables(text, kind))
    except NotObservable as error:
        raise NoSingleObservable(str(error)) from None
    return Named(kind, text)


def _by_grammar(pattern: str) -> list[Named]:
    from stix2patterns.v21.pattern import Pattern  # 0.2 s, and few feeds need it

    try:
        return list(_observations(Pattern(pattern).visit(_Root())))
    except NoSingleObservable:
        raise
    except RecursionError:
        raise NoSingleObservable("a pattern that is nested too deeply") from None
    except Exception as error:  # the parser lets errors of its runtime through as they are
        raise NoSingleObservable(f"no pattern of single observables: {str(error).splitlines()[0][:200]}") from None


class _Root:
    """A visitor that returns the root of the parse tree."""

    def visit(self, tree: Any) -> Any:
        return tree


def _rule(node: Any) -> str:
    """The name of the grammar's rule, or of its alternative."""
    return type(node).__name__.removesuffix("Context")


def _observations(node: Any) -> Iterator[Named]:
    rule, parts = _rule(node), node.children
    if rule == "ObservationExpressionSimple":
        yield from _comparisons(parts[1])
    elif rule == "ObservationExpressionCompound":
        yield from _observations(parts[1])
    elif rule.removeprefix("ObservationExpression") in ("StartStop", "Within", "Repeated"):
        raise NoSingleObservable(
            "the pattern asks for repetition or a time (WITHIN, REPEATS, START), not for one observable"
        )
    elif rule == "Pattern" or len(parts) == 1:
        yield from _observations(parts[0])
    elif rule == "ObservationExpressionOr":
        for part in parts[::2]:
            yield from _observations(part)
    else:
        word = parts[1].getText()
        raise NoSingleObservable(f"the pattern joins observations with {word}: no single observable fulfils it")


def _comparisons(node: Any) -> Iterator[Named]:
    rule, parts = _rule(node), node.children
    if rule == "ComparisonExpression":
        for part in parts[::2]:
            yield from _comparisons(part)
    elif rule == "ComparisonExpressionAnd":
        yield from _comparisons(parts[0]) if len(parts) == 1 else _hashes_of_one_file(list(_operands(node)))
    elif rule == "PropTestParen":
        yield from _comparisons(parts[1])
    else:
        yield from _comparison(node)


def _operands(node: Any) -> Iterator[Any]:
    """What AND joins."""
    for part in node.children[::2]:
        if _rule(part) == "ComparisonExpressionAnd":
            yield from _operands(part)
        else:
            yield part


def _hashes_of_one_file(operands: list[Any]) -> Iterator[Named]:
    """Hashes that one file has all of: each alone tells the file. Any other AND asks for more than one observable."""
    for operand in operands:
        if _rule(operand) != "PropTestEqual" or not _HASH_PATH.match(operand.children[0].getText()):
            raise NoSingleObservable("the pattern joins properties with AND: no single observable fulfils it")
    for operand in operands:
        yield from _comparison(operand)


def _comparison(node: Any) -> Iterator[Named]:
    """`path NOT? operator literal`, or `EXISTS path`."""
    rule, texts = _rule(node), [part.getText() for part in node.children]
    if texts[1] in ("NOT", "!=", "<>"):
        raise NoSingleObservable("the pattern says what an observable is not")
    if rule in ("PropTestEqual", "PropTestIsSubset"):
        yield _named(texts[0], _literal(texts[-1]))
    elif rule == "PropTestSet":
        for part in node.children[-1].children[1:-1:2]:
            yield _named(texts[0], _literal(part.getText()))
    else:
        raise NoSingleObservable(f"the pattern compares with {texts[-2]}, which names no single observable")


def _literal(text: str) -> str:
    return _unescaped(text[1:-1]) if text.startswith("'") else text
