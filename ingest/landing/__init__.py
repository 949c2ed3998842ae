"""Landing: raw objects become bronze, quarantine and a receipt. `land` is the whole of it; it knows no orchestrator."""

from ingest.landing.history import land_files
from ingest.landing.land import FewerRecords, LandingError, LandingSettings, ObjectsGone, land

__all__ = ["FewerRecords", "LandingError", "LandingSettings", "ObjectsGone", "land", "land_files"]
