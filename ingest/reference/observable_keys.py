"""One 128-bit key for every observable, so that events and reference tables join by equality of two numbers.

What belongs here: normalising the text of an observable and making its key. What does not: where observables come from.

An address has the number of its IPv6 form as key (IPv4 as ::ffff:a.b.c.d), a network that of its first address and the
bits of its prefix out of 128. Everything else has the MD5 of `kind:value`; its prefix is 128. The SQL that does the
same for events is `dbt_project/macros/observable_key.sql`, and a test holds both against each other.
"""

import hashlib
import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple

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
