"""Landing: raw objects become bronze, quarantine and a receipt. `land` is the whole of it; it knows no orchestrator."""

from ingest.landing.batches import land_files
from ingest.landing.errors import FewerRecords, LandingError, NoneReadable, ObjectsGone
from ingest.landing.land import land
from ingest.landing.write import LandingSettings

__all__ = ["FewerRecords", "LandingError", "LandingSettings", "NoneReadable", "ObjectsGone", "land", "land_files"]
