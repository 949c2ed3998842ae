"""What is never sent to a provider: addresses and names that are not public, or that the settings name.

Sources: the IANA special-purpose address registries (RFC 6890 and its updates), special-use domain names (RFC 6761,
RFC 6762, RFC 7686, RFC 8375, `internal` as reserved by ICANN in 2024). Addresses that carry another one (6to4, Teredo,
NAT64) are not asked about: what they carry may be private. A URL that an event has with a user or a password is not
asked about, although its normalised text has neither.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ingest.reference.observables import NotObservable, ObservableKey, observable_key
from lake.base.sql import literal

_PUBLIC = ("0.0.0.0/0", "2000::/3")  # of IPv6 only global unicast is
_NOT_PUBLIC = (
    "0.0.0.0/8",  # this network
    "10.0.0.0/8",
    "100.64.0.0/10",  # behind a carrier's NAT
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",  # documentation
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "192.175.48.0/24",
    "198.18.0.0/15",  # benchmarks
    "198.51.100.0/24",  # documentation
    "203.0.113.0/24",  # documentation
    "224.0.0.0/4",  # multicast
    "240.0.0.0/4",
    "2001::/23",  # Teredo, ORCHID, benchmarks and other protocols
    "2001:db8::/32",  # documentation
    "2002::/16",  # 6to4
    "2620:4f:8000::/48",
    "3fff::/20",  # documentation
)
_NOT_PUBLIC_NAMES = (
    "alt",
    "arpa",
    "corp",
    "domain",
    "example",
    "home",
    "internal",
    "intranet",
    "invalid",
    "lan",
    "local",
    "localdomain",
    "localhost",
    "onion",
    "private",
    "test",
    "workgroup",
)
_NAME = "([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?[.])+([a-z]{2,63}|xn--[a-z0-9-]{2,59})"
_URL_HOST = "^https?://([^/?#@:]+)(:[0-9]+)?([/?#]|$)"  # no IPv6 literal
_CREDENTIALS = "://[^/?#]*@"  # a user or a password, also of a URL within the URL
_LONGEST_URL = 2_000  # it goes into the path of a request
_HASH_DIGITS = {"md5": 32, "sha1": 40, "sha256": 64}


@dataclass(frozen=True)
class NeverSent:
    """The list with what the settings add to it; pairs are the first and the last key of a network, hexadecimal."""

    networks: tuple[tuple[str, str], ...]
    names: tuple[str, ...]

    def may_send(self, key: ObservableKey, written: str) -> bool:
        """Whether a single observable may be asked about; `written` is what the event has, of which `key` was made."""
        if key.kind == "ip":
            return key.prefix == 128 and self._is_public_address(key.hex)
        if key.kind == "domain":
            return self._is_public_name(key.value)
        if key.kind == "url":
            return not re.search(_CREDENTIALS, written) and self._is_public_url(key.value)
        return key.kind == "hash" and len(key.value) in _HASH_DIGITS.values()

    def _is_public_address(self, digits: str) -> bool:
        return _within(digits, _networks(_PUBLIC)) and not _within(digits, self.networks)

    def _is_public_name(self, name: str) -> bool:
        return bool(re.fullmatch(_NAME, name)) and not re.search(self._names_pattern, name)

    def _is_public_url(self, url: str) -> bool:
        found = re.match(_URL_HOST, url)
        if not found or len(url) > _LONGEST_URL:
            return False
        if not re.fullmatch(r"[0-9.]+", found[1]):
            return self._is_public_name(found[1])
        try:
            return self._is_public_address(observable_key("ip", found[1]).hex)
        except NotObservable:
            return False

    @property
    def _names_pattern(self) -> str:
        return f"(^|[.])({'|'.join(map(re.escape, self.names))})$"

    def sql(self, kind: str, value: str, key: str, written: str) -> str:
        """Return the test as SQL; `value` is the normalised text of `written`, `key` its key in hexadecimal digits."""
        if kind == "ip":
            return self._address_sql(key)
        if kind == "domain":
            return self._name_sql(value)
        if kind == "url":
            host = f"regexp_extract({value}, '{_URL_HOST}', 1)"
            address = self._address_sql(_ipv4_key_sql(host))
            public = f"case when regexp_full_match({host}, '[0-9.]+') then {address} else {self._name_sql(host)} end"
            bare = f"not regexp_matches({written}, '{_CREDENTIALS}')"
            return f"({bare} and length({value}) <= {_LONGEST_URL} and {public})"
        return f"length({value}) in ({', '.join(map(str, _HASH_DIGITS.values()))})"

    def _address_sql(self, key: str) -> str:
        public = " or ".join(f"{key} between '{low}' and '{high}'" for low, high in _networks(_PUBLIC))
        closed = " or ".join(f"{key} between '{low}' and '{high}'" for low, high in self.networks)
        return f"coalesce(({public}) and not ({closed}), false)"

    def _name_sql(self, name: str) -> str:
        pattern = literal(self._names_pattern)
        return f"coalesce(regexp_full_match({name}, '{_NAME}') and not regexp_matches({name}, {pattern}), false)"


def never_sent(own: Iterable[str] = ()) -> NeverSent:
    """Return the list with networks (CIDR or single addresses) and domains of one's own.

    Raises:
        ValueError: one of them is neither.
    """
    networks, names = list(_networks(_NOT_PUBLIC)), list(_NOT_PUBLIC_NAMES)
    for each in own:
        try:
            networks.append(_bounds(observable_key("ip", each)))
        except NotObservable:
            try:
                names.append(observable_key("domain", each.removeprefix("*.")).value)
            except NotObservable:
                raise ValueError(f"never_send: {each!r} is neither a network nor a domain") from None
    return NeverSent(tuple(networks), tuple(names))


def _ipv4_key_sql(address: str) -> str:
    octets = ", ".join(f"try_cast(split_part({address}, '.', {part}) as utinyint)" for part in (1, 2, 3, 4))
    return f"('00000000000000000000ffff' || printf('%02x%02x%02x%02x', {octets}))"


def _networks(texts: Iterable[str]) -> tuple[tuple[str, str], ...]:
    return tuple(_bounds(observable_key("ip", text)) for text in texts)


def _bounds(key: ObservableKey) -> tuple[str, str]:
    first = key.high << 64 | key.low
    return f"{first:032x}", f"{first | ((1 << (128 - key.prefix)) - 1):032x}"


def _within(digits: str, networks: Iterable[tuple[str, str]]) -> bool:
    return any(low <= digits <= high for low, high in networks)
