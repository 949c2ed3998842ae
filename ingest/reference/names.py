"""The names by which logs call an asset or an identity, from its payload.

What belongs here: which columns are names, of what kind and how sure. What does not: choosing among entities that share
a name (dbt does, at the event's time).
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ingest.reference.observable_keys import NotObservable, ObservableKey, observable_key
from ingest.reference.tables import ASSETS

UID, HOSTNAME, SHORT_HOSTNAME, IP = "uid", "hostname", "short_hostname", "ip"
EMAIL, PRINCIPAL, QUALIFIED, NAME = "email", "principal", "qualified_name", "name"
RANKS = {UID: 1, HOSTNAME: 2, SHORT_HOSTNAME: 3, IP: 4, EMAIL: 2, PRINCIPAL: 2, QUALIFIED: 3, NAME: 4}


class Named(NamedTuple):
    """One name of an entity: its kind, how sure it is (1 the surest), and its key."""

    name_kind: str
    rank: int
    key: ObservableKey


def names_of(table: str, payload: Mapping[str, Any]) -> tuple[list[Named], list[tuple[str, str]]]:
    """Return the names of an entity without repetition, and (text, why) of those that cannot be joined by."""
    found: dict[tuple[str, str], Named] = {}
    unusable = []
    for name_kind, text in _asset(payload) if table == ASSETS else _identity(payload):
        try:
            key = observable_key("ip" if name_kind == IP else "name", text)
        except NotObservable as problem:
            unusable.append((text, str(problem).removeprefix(f"{text!r} ")))
            continue
        named = Named(name_kind, RANKS[name_kind], key)
        held = found.setdefault((key.kind, key.value), named)
        if named.rank < held.rank:
            found[key.kind, key.value] = named
    return list(found.values()), unusable


def _asset(payload: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if payload.get("uid"):
        yield UID, payload["uid"]
    hostnames = [*(payload.get("hostnames") or ()), *([payload["name"]] if payload.get("name") else [])]
    for each in hostnames:
        whole = each.strip().rstrip(".")
        if whole:
            yield HOSTNAME, whole
        first, dot, rest = whole.partition(".")
        if first and dot and " " not in whole and not (first + rest).replace(".", "").isdigit():
            yield SHORT_HOSTNAME, first
    for each in payload.get("addresses") or ():
        yield IP, each


def _identity(payload: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """A domain may be a NetBIOS name or a DNS name; of the latter, the user's principal name follows (AD's default)."""
    for each in (payload.get("uid"), *(payload.get("uids") or ())):
        if each:
            yield UID, each
    for each in payload.get("emails") or ():
        yield EMAIL, each
    domain, username = payload.get("domain"), payload.get("username")
    for each in (username, *(payload.get("usernames") or ())):
        if each:
            yield PRINCIPAL if "@" in each else QUALIFIED if "\\" in each else NAME, each
    if domain and username and not {"@", "\\"} & set(username):
        yield QUALIFIED, f"{domain}\\{username}"
        if "." in domain:
            yield PRINCIPAL, f"{username}@{domain}"
