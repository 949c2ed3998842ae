"""The lake that the settings name.

What belongs here: from settings to a store. What does not: stores (`lake.storage.store`).
"""

from lake.storage.store import Store, open_store
from orchestration.settings import Settings


def open_lake(settings: Settings) -> Store:
    """Return the store of the settings' lake; no request is made. Raises UnsupportedStore."""
    return open_store(settings.lake, settings.s3_options())
