"""Landing: raw objects become bronze, quarantine and a receipt. `land` is the whole of it; it knows no orchestrator."""

from ingest.landing.land import FewerRecords, NoneReadable, ObjectsGone, land, land_files
from ingest.landing.publish import LandingError
from ingest.landing.write import LandingSettings

__all__ = ["FewerRecords", "LandingError", "LandingSettings", "NoneReadable", "ObjectsGone", "land", "land_files"]
