"""What a build has to know of lookup providers: which attributes are asked about, and what may be sent.

What belongs here: both, from the settings' providers. What does not: SQL of the join (`context_lookups.sql`).
"""

from collections.abc import Iterable

from ingest.lookups.kinds import Lookup


def asked_paths(lookups: Iterable[Lookup], table: str) -> tuple[tuple[str, str], ...]:
    """Return (provider, attribute path without `[]`) of a table, in the order of the settings."""
    return tuple(
        (lookup.name, each.path.replace("[]", ""))
        for lookup in lookups
        for each in lookup.options.attributes
        if each.table == table
    )


def sendable_sql(lookups: Iterable[Lookup]) -> dict[str, dict[str, str]]:
    """Return, by provider and kind, the test in SQL of what it may be asked about: over the columns `value`, `key`."""
    return {
        lookup.name: {kind: lookup.guard.sql(kind, "value", "key") for kind in sorted(lookup.module.KINDS)}
        for lookup in lookups
    }
