"""Lookup providers that the settings name."""

from ingest.lookups.attributes import unknown_attributes
from ingest.lookups.provider import Lookup, configured
from lake.ocsf.attributes import declared_classes
from orchestration.settings import Settings


def lookups_of(settings: Settings) -> dict[str, Lookup]:
    """Return the providers by their names. Raises BadLookup."""
    return {name: configured(name, options) for name, options in settings.lookups.items()}


def wrong_attributes(lookup: Lookup) -> list[str]:
    """Return which attributes a provider is to be asked about that no table has: one line each."""
    return unknown_attributes(lookup.options.attributes, declared_classes())
