"""The reference tables with validity times: their columns, and the entries that readers of feeds yield.

Every table holds, per feed, one row for each entry and each time in which it did not change. `valid_from` <= time <
`valid_to` says when the row held (TIMESTAMP, UTC; open rows end at 9999-12-31), `learned_at` when Headwater learned it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

INDICATORS, WARNING_LISTS, ASSETS, IDENTITIES = "indicators", "warning_lists", "assets", "identities"

# What every table has: which feed said it, who makes the feed, which version of it opened the row.
FEED_COLUMNS = {"feed": "VARCHAR", "provider": "VARCHAR", "version": "VARCHAR", "entry": "VARCHAR"}
VALIDITY_COLUMNS = {
    "valid_from": "TIMESTAMP",
    "valid_to": "TIMESTAMP",
    "learned_at": "TIMESTAMP",
    "closed_at": "TIMESTAMP",  # when Headwater learned that the feed says it no longer; NULL while it says it
}
OBSERVABLE_COLUMNS = {
    "kind": "VARCHAR",  # observables.KINDS
    "value": "VARCHAR",
    "prefix": "UTINYINT",  # bits of key_high/key_low that count; 128 but for networks
    "key_high": "UBIGINT",
    "key_low": "UBIGINT",
}
PAYLOADS: Mapping[str, Mapping[str, str]] = {
    INDICATORS: {
        "uid": "VARCHAR",  # the provider's own id of the indicator
        "name": "VARCHAR",
        "description": "VARCHAR",
        "category": "VARCHAR",  # c2, malware, phishing, scanner, anonymizer, ransomware, …, as the provider writes it
        "malware": "VARCHAR",
        "threat_actor": "VARCHAR",
        "confidence": "UTINYINT",  # 0-100
        "severity": "VARCHAR",
        "tlp": "VARCHAR",  # red, amber+strict, amber, green, clear
        "labels": "VARCHAR[]",
        "src_url": "VARCHAR",
    },
    WARNING_LISTS: {
        "name": "VARCHAR",
        "category": "VARCHAR",  # cloud, vpn, dns, crawler, …
        "description": "VARCHAR",
        "covers_subdomains": "BOOLEAN",  # a domain stands for what is below it as well
    },
    ASSETS: {
        "uid": "VARCHAR",
        "name": "VARCHAR",
        "hostnames": "VARCHAR[]",
        "addresses": "VARCHAR[]",  # addresses and networks
        "type": "VARCHAR",  # server, desktop, laptop, …, as the CMDB writes it
        "role": "VARCHAR",  # what it is for: "PCI database server"
        "os": "VARCHAR",
        "owner": "VARCHAR",
        "administrators": "VARCHAR[]",  # users and groups that are expected to log on to it
        "department": "VARCHAR",
        "environment": "VARCHAR",  # production, test, …
        "criticality": "VARCHAR",
        "location": "VARCHAR",
        "status": "VARCHAR",
        "tags": "VARCHAR[]",  # pci, hipaa, domain-controller, …
    },
    IDENTITIES: {
        "uid": "VARCHAR",
        "username": "VARCHAR",
        "full_name": "VARCHAR",
        "emails": "VARCHAR[]",
        "uids": "VARCHAR[]",  # every id by which logs may name the account: object ids, SIDs, employee numbers
        "usernames": "VARCHAR[]",  # further names: DOMAIN\name, user principal names
        "domain": "VARCHAR",
        "title": "VARCHAR",
        "department": "VARCHAR",
        "manager": "VARCHAR",
        "employment_type": "VARCHAR",  # employee, contractor, service account, …
        "is_privileged": "BOOLEAN",
        "groups": "VARCHAR[]",
        "office": "VARCHAR",
        "status": "VARCHAR",  # active, disabled, …
        "hired_at": "TIMESTAMP",
        "left_at": "TIMESTAMP",
        "tags": "VARCHAR[]",
    },
}
TABLES = tuple(PAYLOADS)
OBSERVABLE_TABLES = (INDICATORS, WARNING_LISTS)
ENTITY_TABLES = (ASSETS, IDENTITIES)

# Every view of a table or of names has this besides: where the feed stands among those of the table, in the order of
# the settings (`reference.feeds`); 1 is believed first.
FEED_RANK = {"feed_rank": "USMALLINT"}
NAME_VIEWS = {ASSETS: "asset_names", IDENTITIES: "identity_names"}

# Beside the entity tables: the names by which logs call an entity, one row each, with the entity's own validity.
# Columns of `reference.asset_names` and `reference.identity_names`; `rank` 1 is the surest kind of name.
NAME_COLUMNS = (
    FEED_COLUMNS
    # asset: 1 uid, 2 hostname, 3 short_hostname, 4 ip (also networks);
    # identity: 1 uid (also SIDs), 2 email and principal (user@domain), 3 qualified_name (DOMAIN\name), 4 name
    | {"name_kind": "VARCHAR", "rank": "UTINYINT"}
    | OBSERVABLE_COLUMNS  # kind is `ip` for addresses, else `name`: the key of a name is that of its lower-case text
    | VALIDITY_COLUMNS
)


def columns_of(table: str) -> dict[str, str]:
    """Return column → DuckDB type of a reference table."""
    keys = OBSERVABLE_COLUMNS if table in OBSERVABLE_TABLES else {}
    return {**FEED_COLUMNS, **keys, **PAYLOADS[table], **VALIDITY_COLUMNS}


@dataclass(frozen=True)
class Entry:
    """One entry of a feed as its reader found it.

    `entry` identifies it within the feed (the normalised observable, the SID, the CMDB id). `payload` holds columns of
    the table, absent ones are NULL. `kind` and `value` are those of an observable. Times are naive UTC: from when to
    when the provider itself says that the entry holds; None where it does not say.
    """

    entry: str
    payload: Mapping[str, object] = field(default_factory=dict)
    kind: str = ""
    value: str = ""
    valid_from: datetime | None = None
    valid_to: datetime | None = None


@dataclass(frozen=True)
class Reject:
    """A piece of a feed that is no entry: what it was (at most 200 characters), where (line, id), why."""

    text: str
    where: str
    reason: str
