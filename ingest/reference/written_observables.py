"""Observables as people write them in feeds: defanged, with ports, as ranges, of a kind that must be guessed.

What belongs here: from a text to (kind, value) pairs and entries. What does not: the key (`observable_keys`).
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address, ip_address, summarize_address_range

from ingest.reference.observable_keys import NotObservable, ObservableKey, observable_key
from ingest.reference.tables import Entry

# How hostile addresses are made unclickable in reports: hxxp://evil[.]com, 1.2.3[dot]4, user[at]evil[.]com.
_DEFANGED = (
    (re.compile(r"\A(\s*)(h)[xX*]{2}(p)(?=s?(\[?:\]?|://))", re.IGNORECASE), r"\1\2tt\3"),
    (re.compile(r"\A(\s*)f[xX*]p(?=(\[?:\]?|://))", re.IGNORECASE), r"\1ftp"),
    (re.compile(r"\[(://)\]|\[:\]//"), "://"),
    (re.compile(r"[\[({]\s*(?:[.]|dot)\s*[\])}]", re.IGNORECASE), "."),
    (re.compile(r"\\[.]|\[[.](?=\w)|(?<=\w)[.]\]"), "."),
    (re.compile(r"[\[({]\s*(?:@|at)\s*[\])}]", re.IGNORECASE), "@"),
)
_SUSPECT = re.compile(r"[\[({\\]|\A\s*[hf][x*]", re.IGNORECASE)
# A URL that can be clicked on is not defanged, and brackets in its path are its own.
_INTACT = re.compile(r"\A\s*(?!h[x*]|fxp)[a-z][a-z0-9+.-]*://[^\s\[\](){}\\/?#]+(?:[/?#]|\Z)", re.IGNORECASE)
_RANGE = re.compile(r"([0-9a-fA-F.:]+)\s*-\s*([0-9a-fA-F.:]+)\Z")
_IPV4_PORT = re.compile(r"(\d{1,3}(?:[.]\d{1,3}){3}):\d{1,5}\Z")
_IPV6_PORT = re.compile(r"\[([0-9a-fA-F:.]+)\](?::\d{1,5})?\Z")
_TOP_LEVEL = re.compile(r"[a-z][a-z0-9-]*[a-z0-9]\Z")
MAX_TEXT = 16 * 1024
_WILDCARD = re.compile(r"\s*[*]?[.]([^.*\s][^*\s]*)\s*\Z")


def refanged(text: str) -> str:
    """Return a text with the marks taken out that keep people from clicking on it."""
    if not _SUSPECT.search(text) or _INTACT.match(text):
        return text
    for pattern, replacement in _DEFANGED:
        text = pattern.sub(replacement, text)
    return text


def observables(text: str, kind: str = "") -> Iterator[ObservableKey]:
    """Yield the keys of what a text names: one, or the networks of a range. `kind`: one of KINDS, empty: found out.

    Raises:
        NotObservable: the text names nothing of that kind, or of no kind that can be told by its look.
    """
    if len(text) > MAX_TEXT:
        raise NotObservable(f"{text[:40]!r}…: {len(text):,} characters are more than an observable has")
    value = refanged(text).strip()
    if kind in ("", "ip"):
        if "-" in value and (found := _RANGE.match(value)) and ("." in found[1] or ":" in found[1]):
            yield from _range(found[1], found[2], text)
            return
        value = _without_port(value)
    yield observable_key(kind, value) if kind else _key_by_look(value)


def _key_by_look(value: str) -> ObservableKey:
    for kind in ("ip", "hash", "url", "email", "cve", "domain"):
        try:
            key = observable_key(kind, value)
        except NotObservable:
            continue
        if kind != "domain" or _is_public_name(value):
            return key
    raise NotObservable(f"{value[:80]!r} is neither an address, domain, URL, hash, e-mail address nor CVE id")


def _is_public_name(value: str) -> bool:
    """A word without a dot and a version number such as 1.2.3 are no domains, unless somebody says so."""
    labels = value.rstrip(".").lower().split(".")
    try:
        last = labels[-1].encode("idna").decode()
    except UnicodeError:
        last = labels[-1]
    return len(labels) > 1 and _TOP_LEVEL.match(last) is not None


def _without_port(value: str) -> str:
    if ":" not in value and "[" not in value:
        return value
    found = _IPV4_PORT.match(value) or _IPV6_PORT.match(value)
    return found[1] if found else value


def _range(first: str, last: str, text: str) -> Iterator[ObservableKey]:
    try:
        begin, end = ip_address(first), ip_address(last)
        networks = [str(network) for network in _summarized(begin, end)]
    except (ValueError, TypeError):
        raise NotObservable(f"{text!r} is no range of addresses") from None
    for network in networks:
        yield observable_key("ip", network)


def _summarized(begin: IPv4Address | IPv6Address, end: IPv4Address | IPv6Address) -> Iterator[object]:
    yield from summarize_address_range(begin, end)


def entries(
    text: str,
    payload: Mapping[str, object],
    kind: str = "",
    valid_from: datetime | None = None,
    valid_to: datetime | None = None,
    *,
    within: str = "",
    wildcards: bool = False,
) -> Iterator[Entry]:
    """Yield the entries of an observable table for what a text names. Raises NotObservable as `observables`.

    An entry is named `kind:value`; `within` stands in front where one observable may occur several times (the list it
    is on, the provider's id). `wildcards`: `*.example.com` and `.example.com` are domains that cover subdomains.
    """
    if wildcards and kind in ("", "domain") and (found := _WILDCARD.match(text)):
        text, kind, payload = found[1], "domain", {**payload, "covers_subdomains": True}
    for key in observables(text, kind):
        name = f"{within}/{key.kind}:{key.value}" if within else f"{key.kind}:{key.value}"
        yield Entry(name, payload, key.kind, key.value, valid_from, valid_to)
