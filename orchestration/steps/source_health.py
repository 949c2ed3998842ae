"""Whether the place of an object source can be reached now: its folder or bucket, and its queue.

What belongs here: one small request for each, and what to do when it fails. What does not: showing it (`cli.doctor`).
"""

from pathlib import Path

from ingest.transports.bucket import is_bucket_url
from ingest.transports.bucket_place import bucket_place
from ingest.transports.queue import Queue
from orchestration.settings import ObjectSource, Settings
from orchestration.steps.places import access_of


def why_unreachable(settings: Settings, source: str, place: ObjectSource) -> tuple[str, str] | None:
    """Return what is wrong and what to do about it; None when the source can be read."""
    access = access_of(settings, source)
    try:
        if place.root and is_bucket_url(place.root):
            bucket_place(place.root, access).check()
        elif place.root and not Path(place.root).is_dir():
            return place.root, f"create the folder or correct sources.{source}.root"
        if place.queue:
            Queue(place.queue, access).check()
    except OSError as problem:
        return str(problem), f"correct sources.{source}, or allow what the message names"
    return None
