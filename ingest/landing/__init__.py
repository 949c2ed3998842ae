"""Landing: raw objects become bronze, quarantine and a receipt. `land` is the whole of it; it knows no orchestrator."""

from ingest.landing.history import land_files
from ingest.landing.land import LandingError, LandingSettings, land

__all__ = ["LandingError", "LandingSettings", "land", "land_files"]
