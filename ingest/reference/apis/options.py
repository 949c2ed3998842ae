"""What formats that ask an API share: how long they keep trying, and pages as the objects in them."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from pydantic import Field

from ingest.reference.formats import FormatOptions
from ingest.transports.fetch_errors import UnexpectedAnswer
from ingest.transports.http import HttpPoller, Patience, Window


class ApiOptions(FormatOptions):
    """How long an API is asked: silence and tries a page, and how long its rate limit may hold a page up (seconds)."""

    timeout_seconds: float = Field(default=60.0, gt=0, le=3600)
    max_attempts: int = Field(default=6, ge=1, le=100)
    max_wait_seconds: float = Field(default=300.0, ge=0, le=86_400)
    backoff_seconds: float = Field(default=1.0, ge=0, le=3600)

    @property
    def patience(self) -> Patience:
        """Return it as the client takes it."""
        return Patience(
            timeout_seconds=self.timeout_seconds,
            max_attempts=self.max_attempts,
            max_wait_seconds=self.max_wait_seconds,
            backoff_seconds=self.backoff_seconds,
        )


def pages(poller: HttpPoller, url: str, params: dict[str, str]) -> Iterator[Any]:
    """Yield the JSON value of every page, once all pages have come. Raises FetchError."""
    with tempfile.TemporaryDirectory(prefix="headwater-") as folder:
        for path, _ in poller.fetch(Window(url, params), Path(folder)):
            try:
                yield msgspec.json.decode(path.read_bytes())
            except (msgspec.DecodeError, RecursionError) as error:
                raise UnexpectedAnswer(f"{url}: a page that is no JSON: {error}") from None
