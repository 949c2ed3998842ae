"""STIX patterns that name single observables: the observables. Any other pattern: why it names none.

What belongs here: one pattern. What does not: indicators and their relationships (`stix_objects`).

Source: STIX 2.1, section 9 (docs.oasis-open.org/cti/stix/v2.1). Most patterns are one comparison or several with OR
between them; those are read here, at once. Everything else goes through the grammar of the `stix2` library, which takes
some milliseconds a pattern.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from ingest.reference.observable_keys import NotObservable
from ingest.reference.written_observables import observables

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
    from stix2.pattern_visitor import create_pattern_object

    try:
        tree = create_pattern_object(pattern, version="2.1")
    except RecursionError:
        raise NoSingleObservable("a pattern that is nested too deeply") from None
    except Exception as error:  # the library lets the errors of its grammar, and of values, through as they are
        raise NoSingleObservable(f"no pattern of single observables: {str(error).splitlines()[0][:200]}") from None
    return list(_observations(tree))


def _observations(node: Any) -> Iterator[Named]:
    of = type(node).__name__
    if of == "OrObservationExpression":
        for operand in node.operands:
            yield from _observations(operand)
    elif of == "ParentheticalExpression":
        yield from _observations(node.expression)
    elif of == "ObservationExpression":
        yield from _comparisons(node.operand)
    elif of == "QualifiedObservationExpression":
        raise NoSingleObservable(
            "the pattern asks for repetition or a time (WITHIN, REPEATS, START), not for one observable"
        )
    else:
        words = {"AndObservationExpression": "AND", "FollowedByObservationExpression": "FOLLOWEDBY"}
        raise NoSingleObservable(
            f"the pattern joins observations with {words.get(of, of)}: no single observable fulfils it"
        )


def _comparisons(node: Any) -> Iterator[Named]:
    of = type(node).__name__
    if of == "OrBooleanExpression":
        for operand in node.operands:
            yield from _comparisons(operand)
    elif of == "ParentheticalExpression":
        yield from _comparisons(node.expression)
    elif of == "AndBooleanExpression":
        yield from _hashes_of_one_file(node)
    else:
        yield from _comparison(node)


def _hashes_of_one_file(node: Any) -> Iterator[Named]:
    """Hashes that one file has all of: each alone tells the file. Any other AND asks for more than one observable."""
    paths = [str(getattr(operand, "lhs", "")) for operand in node.operands]
    equal = all(type(operand).__name__ == "EqualityComparisonExpression" for operand in node.operands)
    if not equal or not all(_HASH_PATH.match(path) for path in paths):
        raise NoSingleObservable("the pattern joins properties with AND: no single observable fulfils it")
    for operand in node.operands:
        yield from _comparison(operand)


def _comparison(node: Any) -> Iterator[Named]:
    of, path = type(node).__name__, str(node.lhs)
    if getattr(node, "negated", False):
        raise NoSingleObservable("the pattern says what an observable is not")
    if of in ("EqualityComparisonExpression", "IsSubsetComparisonExpression"):
        yield _named(path, _unescaped(str(node.rhs.value)))
    elif of == "InComparisonExpression":
        for each in node.rhs.value:
            yield _named(path, _unescaped(str(each.value)))
    else:
        word = of.removesuffix("ComparisonExpression").upper()
        raise NoSingleObservable(f"the pattern compares with {word}, which names no single observable")
