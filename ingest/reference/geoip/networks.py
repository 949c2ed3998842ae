"""The address ranges of one MaxMind-format database, in order, without aliases, neighbours of one payload merged.

Every address is its 128-bit number; an IPv4 address is the number of its IPv4-mapped form (::ffff:a.b.c.d), so one
key orders both. Parquet and tables do not belong here.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import Any, NamedTuple

from ingest.reference.geoip.records import Payload

MAPPED = 0xFFFF << 32  # ::ffff:0:0/96
# Prefixes whose addresses carry an IPv4 address; the join looks that one up (see `geoip_address_key` in dbt), so
# networks stored below them would never be asked for: 6to4 (RFC 3056), NAT64 (RFC 6052).
TRANSLATED = (IPv6Network("2002::/16"), IPv6Network("64:ff9b::/96"))
Network = IPv4Network | IPv6Network


class Range(NamedTuple):
    """An inclusive range of addresses with one payload."""

    ip_version: int
    start: int
    end: int
    payload: Payload


@dataclass
class ReadCounts:
    """What became of the networks of one database."""

    networks: int = 0
    without_payload: int = 0
    aliases: int = 0
    ranges: dict[int, int] = field(default_factory=dict)  # ip version → ranges after merging


def ranges_of(
    networks: Iterable[tuple[Network, Any]], payload_of: Callable[[Any], Payload | None], counts: ReadCounts
) -> Iterator[Range]:
    """Ranges ascending within each IP version, as maxminddb iterates (::/96, the IPv4 part, first); fills `counts`."""
    open_range: Range | None = None
    for ip_version, start, end, record in _without_aliases(networks, counts):
        payload = payload_of(record)
        if payload is None:
            counts.without_payload += 1
            continue
        if open_range is not None and _continues(open_range, ip_version, start, payload):
            open_range = open_range._replace(end=end)
            continue
        if open_range is not None:
            yield open_range
        open_range = Range(ip_version, start, end, payload)
        counts.ranges[ip_version] = counts.ranges.get(ip_version, 0) + 1
    if open_range is not None:
        yield open_range


def _continues(before: Range, ip_version: int, start: int, payload: Payload) -> bool:
    return before.ip_version == ip_version and before.end + 1 == start and before.payload == payload


def _without_aliases(
    networks: Iterable[tuple[Network, Any]], counts: ReadCounts
) -> Iterator[tuple[int, int, int, Any]]:
    """(ip version, first, last, record) per network that is not an alias.

    maxminddb skips subtrees that point back to the IPv4 part. A database may instead hold such networks on their own.
    Below ::ffff:0:0/96 they are its IPv4 networks when ::/96 holds none, else copies; below `TRANSLATED` they go.
    """
    has_ipv4 = False
    for network, record in networks:
        counts.networks += 1
        start = int(network.network_address)
        last = start + (1 << (network.max_prefixlen - network.prefixlen)) - 1
        if isinstance(network, IPv4Network):
            has_ipv4 = True
            yield 4, MAPPED | start, MAPPED | last, record
        elif start >> 32 == 0xFFFF and network.prefixlen >= 96:
            if has_ipv4:
                counts.aliases += 1
            else:
                yield 4, start, last, record
        elif any(network.subnet_of(prefix) for prefix in TRANSLATED):
            counts.aliases += 1
        else:
            yield 6, start, last, record
