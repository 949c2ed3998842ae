"""Observables: what people write in feeds, normalised, and one 128-bit key by which events and tables join.

An address has the number of its IPv6 form as key (IPv4 as ::ffff:a.b.c.d), a network that of its first address and the
bits of its prefix out of 128. Everything else has the MD5 of `kind:value`; its prefix is 128. The SQL that does the
same for events is `lake/ocsf/keys.py`, and a test holds both against each other.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
    summarize_address_range,
)
from typing import NamedTuple

from ingest.reference.tables import Entry

KINDS = ("ip", "domain", "url", "hash", "email", "cve", "name")
MAPPED = 0xFFFF << 32  # ::ffff:0:0/96
LOW = (1 << 64) - 1
_DOMAIN = re.compile(
    r"(?=.{1,253}\Z)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?[.])*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\Z"
)
_HASH = re.compile(r"([0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{56}|[0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128})\Z")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\Z")
_CVE = re.compile(r"cve-\d{4}-\d{4,}\Z")


class NotObservable(ValueError):
    """A text that is no observable of the kind it is said to be."""


class ObservableKey(NamedTuple):
    """A normalised observable: `value` as text, and its key as two unsigned 64-bit halves with the bits that count."""

    kind: str
    value: str
    prefix: int
    high: int
    low: int

    @property
    def hex(self) -> str:
        """The key in 32 hexadecimal digits, as answers of lookups and events have it."""
        return f"{self.high:016x}{self.low:016x}"


def observable_key(kind: str, text: str) -> ObservableKey:
    """Return the key of an observable; `kind` is one of KINDS, an `ip` may be a network in CIDR notation.

    Raises:
        NotObservable: the text is none of that kind.
    """
    if kind == "ip":
        return _network_key(text.strip())
    value = _normalised(kind, text)
    digest = hashlib.md5(f"{kind}:{value}".encode(), usedforsecurity=False).digest()
    return ObservableKey(kind, value, 128, int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little"))


def _network_key(text: str) -> ObservableKey:
    if "/" not in text:
        return _address_key(text)
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise NotObservable(f"{text!r} is neither an address nor a network") from None
    start, prefix = int(network.network_address), network.prefixlen
    if isinstance(network, IPv4Network):
        start, prefix = MAPPED | start, prefix + 96
    elif start >> 32 == 0xFFFF and prefix >= 96:
        network = IPv4Network((start & 0xFFFFFFFF, prefix - 96))
    whole = network.num_addresses == 1
    return ObservableKey("ip", str(network.network_address if whole else network), prefix, start >> 64, start & LOW)


def _address_key(text: str) -> ObservableKey:
    """The same without a network object, for most addresses come alone: a third of the time."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        raise NotObservable(f"{text!r} is neither an address nor a network") from None
    number = int(address)
    if address.version == 4:
        return ObservableKey("ip", str(address), 128, 0, MAPPED | number)
    if number >> 32 == 0xFFFF:
        return ObservableKey("ip", str(IPv4Address(number & 0xFFFFFFFF)), 128, 0, number)
    return ObservableKey("ip", str(address), 128, number >> 64, number & LOW)


def network_of(key: ObservableKey) -> IPv4Network | IPv6Network:
    """Return the network of an `ip` key."""
    start = key.high << 64 | key.low
    if start >> 32 == 0xFFFF and key.prefix >= 96:
        return IPv4Network((start & 0xFFFFFFFF, key.prefix - 96))
    return IPv6Network((int(IPv6Address(start)), key.prefix))


def _normalised(kind: str, text: str) -> str:
    value = text.strip()
    if kind == "domain":
        return _matched(_DOMAIN, _ascii_domain(value), text, "a domain name")
    if kind == "hash":
        return _matched(_HASH, value.lower(), text, "a hash in hexadecimal digits")
    if kind == "email":
        return _matched(_EMAIL, value.lower(), text, "an e-mail address")
    if kind == "cve":
        return _matched(_CVE, value.lower(), text, "a CVE id")
    if kind == "url":
        return _url(value, text)
    if kind == "name" and value:
        return value.lower()
    raise NotObservable(f"{text!r} is no observable of kind {kind!r} (kinds: {', '.join(KINDS)})")


def _ascii_domain(value: str) -> str:
    bare = value.rstrip(".").lower()
    if bare.isascii():
        return bare
    try:
        return bare.encode("idna").decode()
    except UnicodeError:
        return bare


def _url(value: str, text: str) -> str:
    """Scheme and host in lower case; the rest as it is, for servers tell paths apart by case."""
    found = re.match(r"([A-Za-z][A-Za-z0-9+.-]*://)([^/?#]+)(.*)\Z", value, re.DOTALL)
    if not found or re.search(r"\s", value):
        raise NotObservable(f"{text!r} is no URL with scheme and host")
    scheme, host, rest = found.groups()
    return f"{scheme.lower()}{host.lower()}{rest or '/'}"


def _matched(pattern: re.Pattern[str], value: str, text: str, expected: str) -> str:
    if not pattern.match(value):
        raise NotObservable(f"{text!r} is not {expected}")
    return value


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
