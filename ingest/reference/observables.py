"""Observables: what people write in feeds, normalised, and one 128-bit key by which events and tables join.

An address has the number of its IPv6 form as key (IPv4 as ::ffff:a.b.c.d), a network that of its first address and the
bits of its prefix out of 128. Everything else has the MD5 of `kind:value`; its prefix is 128. The SQL that does the
same for events is `lake/ocsf/keys.py`; both spell texts by `lake/ocsf/observable_text.py`.
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
from lake.ocsf.observable_text import normal_text

KINDS = ("ip", "domain", "url", "hash", "email", "cve", "name")
MAPPED = 0xFFFF << 32  # ::ffff:0:0/96
LOW = (1 << 64) - 1
_HASH = re.compile(r"([0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{56}|[0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128})\Z")
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


# The shortest prefixes of a network that a table may hold. An indicator that holds everything, or nearly, matches
# everything: no registry gives one holder more than an IPv4 /8 or an IPv6 /19. Lists that explain an address name whole
# ranges of the standards: 224.0.0.0/4, 2000::/3; machines stand in private ones: 10.0.0.0/8, fc00::/7.
NARROWEST = {4: 8, 6: 19}
_SHORTEST = {"warning_lists": {4: 4, 6: 3}, "assets": {4: 8, 6: 7}}
_BOUNDS = "of IPv4 at most a /8, of IPv6 a /19"


def refuse_wide(table: str, key: ObservableKey) -> None:
    """Raise NotObservable for a network that holds everything or nearly, as entries of a table go."""
    if key.kind != "ip" or key.prefix == 128:
        return
    is_ipv4 = key.prefix >= 96 and key.high == 0 and key.low >> 32 == 0xFFFF
    version, prefix = (4, key.prefix - 96) if is_ipv4 else (6, key.prefix)
    shortest = _SHORTEST.get(table, NARROWEST)[version]
    if prefix < shortest:
        raise NotObservable(
            f"{key.value!r} holds nearly every address: a network of IPv{version} in {table} has a prefix of at least"
            f" /{shortest}"
        )


def network_of(key: ObservableKey) -> IPv4Network | IPv6Network:
    """Return the network of an `ip` key."""
    start = key.high << 64 | key.low
    if start >> 32 == 0xFFFF and key.prefix >= 96:
        return IPv4Network((start & 0xFFFFFFFF, key.prefix - 96))
    return IPv6Network((int(IPv6Address(start)), key.prefix))


_EXPECTED = {"domain": "a domain name", "url": "a URL with scheme and host", "email": "an e-mail address"}


def _normalised(kind: str, text: str) -> str:
    value = text.strip()
    if kind == "hash":
        return _matched(_HASH, value.lower(), text, "a hash in hexadecimal digits")
    if kind == "cve":
        return _matched(_CVE, value.lower(), text, "a CVE id")
    if found := normal_text(kind, value):
        return found
    if kind in _EXPECTED:
        raise NotObservable(f"{text!r} is not {_EXPECTED[kind]}")
    raise NotObservable(f"{text!r} is no observable of kind {kind!r} (kinds: {', '.join(KINDS)})")


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
# An address or a name with a port behind it; IPv6 stands in brackets then.
_WITH_PORT = re.compile(
    r"(?:\[([0-9a-fA-F:.]+)\](?::(\d{1,5}))?|([^\s:/@\[\]]+[.][^\s:/@\[\]]+):(\d{1,5}))\Z", re.ASCII
)
_LEADING_ZEROS = re.compile(r"(?=(?:.*[.])?0\d)\d+([.]\d+){3}(/\d+)?\Z", re.ASCII)
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
    if kind in ("", "ip", "domain"):
        if (
            kind != "domain"
            and "-" in value
            and (found := _RANGE.match(value))
            and ("." in found[1] or ":" in found[1])
        ):
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
        if kind != "domain" or _is_public_name(key.value):
            return key
    if _LEADING_ZEROS.match(value):
        raise NotObservable(f"{value[:80]!r} is no address: octets with leading zeros are octal to some")
    if _WILDCARD.match(value):
        raise NotObservable(f"{value[:80]!r} is a wildcard, which only warning lists may have: name the domain itself")
    raise NotObservable(f"{value[:80]!r} is neither an address, domain, URL, hash, e-mail address nor CVE id")


def _is_public_name(name: str) -> bool:
    """A word without a dot and a version number such as 1.2.3 are no domains, unless somebody says so."""
    labels = name.split(".")
    return len(labels) > 1 and _TOP_LEVEL.match(labels[-1]) is not None


def _without_port(value: str) -> str:
    if ":" not in value and "[" not in value:
        return value
    found = _WITH_PORT.match(value)
    if not found or int(found[2] or found[4] or 0) > 65535:
        return value
    return found[1] or found[3]


def _range(first: str, last: str, text: str) -> Iterator[ObservableKey]:
    try:
        begin, end = ip_address(first), ip_address(last)
        networks = [*summarize_address_range(begin, end)]
    except (ValueError, TypeError):
        raise NotObservable(f"{text!r} is no range of addresses") from None
    if len(networks) > 1 and int(end) - int(begin) >= 1 << begin.max_prefixlen - NARROWEST[begin.version]:
        raise NotObservable(f"{text!r} holds too many addresses: {_BOUNDS}")
    for network in networks:
        yield observable_key("ip", str(network))


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
