"""Requests to BigQuery within a bound, jobs that are found again by their id, and what errors mean.

A job has an id of ours. Whoever lost the answer asks for the job by its id: it is there, and is waited for, or it is
not, and is sent again under the same id. So a lost answer runs nothing twice.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

from lake.base.http import SYSTEM_CLOCK, Clock, FailedTry, GaveUp, Retry, Tries
from lake.export.destination import LOOPBACK
from lake.export.errors import DestinationDenied, DestinationUnavailable, ExportError, RowsRefused

T = TypeVar("T")
PUSH_LABEL = "headwater_push"  # tells a job of this push from one of an earlier push
# https://cloud.google.com/bigquery/docs/error-messages
_PASSING = frozenset(
    (
        *("rateLimitExceeded", "jobRateLimitExceeded", "quotaExceeded", "timeout", "stopped", "tableUnavailable"),
        *("backendError", "internalError", "jobBackendError", "jobInternalError", "serviceUnavailable"),
    )
)
_DENIED = frozenset(("accessDenied", "billingNotEnabled", "blocked", "authError", "forbidden"))


class Missing(ExportError):
    """What was asked for does not exist."""


class Taken(ExportError):
    """The name is taken, or the thing was changed meanwhile."""


@dataclass
class Requests:
    """Requests to one project, each answered within `request_seconds`, all tries within `retry_seconds`."""

    where: str
    project: str
    location: str | None
    endpoint: str | None
    retry_seconds: float
    request_seconds: float
    job_seconds: float
    clock: Clock = SYSTEM_CLOCK
    _client: Any = None

    @property
    def client(self) -> Any:
        """Return Google's client, with Application Default Credentials; none are used on loopback."""
        if self._client is None:
            self.connect()
        return self._client

    def connect(self) -> None:
        """Make the client.

        Raises:
            ExportError: the package is not installed.
            DestinationDenied: there are no credentials.
        """
        if self._client is None:
            try:
                from google.cloud import bigquery
            except ImportError:
                raise ExportError(
                    f"{self.where} needs the package google-cloud-bigquery: install headwater with the extra `bigquery`"
                ) from None
            given: dict[str, Any] = {"project": self.project, "location": self.location}
            if self.endpoint:
                given["client_options"] = {"api_endpoint": self.endpoint}
            if urlsplit(self.endpoint or "").hostname in LOOPBACK:
                from google.auth.credentials import AnonymousCredentials

                given["credentials"] = AnonymousCredentials()  # type: ignore[no-untyped-call]
            self._client = self.asked(lambda: bigquery.Client(**given))

    def close(self) -> None:
        """End connections."""
        if self._client is not None:
            self._client.close()
            self._client = None

    @property
    def timing(self) -> dict[str, Any]:
        """Return the words that every request takes: the client's own retries are off, this class has its own."""
        return {"retry": None, "timeout": self.request_seconds}

    def asked(self, request: Callable[[], T]) -> T:
        """Return what a harmless request answers, asked again while another try may heal its failure.

        Raises:
            ExportError: as BigQuery said, or nothing answered within the bound.
            Missing, Taken: for the caller to judge.
        """

        def attempt() -> T:
            with self._understood():
                return request()

        return self._tried(attempt)

    def call(self, method: str, *given: Any, **said: Any) -> Any:
        """Return what a method of Google's client answers; see `asked`."""
        return self.asked(lambda: getattr(self.client, method)(*given, **said, **self.timing))

    def _tried(self, attempt: Callable[[], T]) -> T:
        try:
            return Tries(self.where, Retry(self.retry_seconds, longest_wait=30.0), self.clock).run(attempt)
        except GaveUp as problem:
            raise DestinationUnavailable(
                f"{self.where} does not answer, or is over a quota: {problem.reason}. The rows are in the lake; the"
                " hour stays behind and is pushed again"
            ) from None

    def run(self, job_id: str, push: str, start: Callable[[str], Any], again: Callable[[], str]) -> Any:
        """Return a job that ended well, started as `job_id`; after one that failed for good it is `again()`.

        `start` sends the job, with the label `headwater_push`: `push`. An answer that is lost is no reason to send it
        twice: the job is looked for by its id.

        Raises:
            RowsRefused, DestinationDenied, DestinationUnavailable, ExportError: the last job did not end well.
        """

        def attempt() -> Any:
            nonlocal job_id
            found = self._started(job_id, push, start)
            if found is None:
                job_id = again()
                found = self._started(job_id, push, start)
            ended = self.waited(found)
            if ended.error_result:
                job_id = again()
                raise self._error_of(ended)
            return ended

        return self._tried(attempt)

    def _started(self, job_id: str, push: str, start: Callable[[str], Any]) -> Any:
        """Return the job of an id, None if it ended before this push: what it wrote may have been replaced since."""
        try:
            with self._understood():
                return start(job_id)
        except Taken:
            found = self.call("get_job", job_id, location=self.location)
            ours = (found.labels or {}).get(PUSH_LABEL) == push
            return found if ours or found.state != "DONE" else None
        except FailedTry as lost:
            try:
                return self.call("get_job", job_id, location=self.location)
            except Missing:
                raise lost from None

    def waited(self, job: Any) -> Any:
        """Return a job once it is done. Raises DestinationUnavailable when it runs on beyond the bound."""
        until, pause = self.clock.now() + self.job_seconds, 0.1
        while job.state != "DONE":
            if self.clock.now() > until:
                raise DestinationUnavailable(
                    f"{self.where}: job {job.job_id} still runs after {self.job_seconds:,.0f} s;"
                    " the next push waits for it"
                )
            self.clock.sleep(pause)
            pause = min(pause * 1.5, 5.0)
            job_id, location = job.job_id, job.location or self.location
            job = self.call("get_job", job_id, location=location)
        return job

    def running(self, prefix: str) -> list[Any]:
        """Return jobs with ids of a prefix that are not done."""
        found = []
        for state in ("pending", "running"):
            listed = self.asked(lambda: list(self.client.list_jobs(state_filter=state, **self.timing)))  # noqa: B023
            found += [each for each in listed if each.job_id.startswith(prefix) and each.state != "DONE"]
        return found

    def _error_of(self, job: Any) -> Exception:
        error = job.error_result
        reason = error.get("reason", "")
        words = _words(reason, error.get("message", ""), error.get("location", ""))
        return self._meaning(reason, 400, f"job {job.job_id}: {words}")

    @contextmanager
    def _understood(self) -> Iterator[None]:
        """Raise what errors of Google's client and of the network mean: FailedTry where another try may help."""
        import requests
        from google.api_core import exceptions as api
        from google.auth import exceptions as auth

        try:
            yield
        except api.GoogleAPICallError as problem:
            raise self._of_answer(problem) from None
        except auth.TransportError as problem:
            raise FailedTry(self.where, _line(problem)) from None
        except auth.GoogleAuthError as problem:
            if getattr(problem, "retryable", False):
                raise FailedTry(self.where, _line(problem)) from None
            raise DestinationDenied(
                f"{self.where}: the Google credentials are missing, expired or refused ({_line(problem)}). Renew them"
                " (`gcloud auth application-default login`), or set GOOGLE_APPLICATION_CREDENTIALS; then push again"
            ) from None
        except (requests.RequestException, api.RetryError, ConnectionError, TimeoutError) as problem:
            raise FailedTry(self.where, _line(problem)) from None

    def _of_answer(self, problem: Any) -> Exception:
        first = (problem.errors or [{}])[0]
        first = first if isinstance(first, dict) else {}
        reason, place = str(first.get("reason", "")), str(first.get("location", ""))
        return self._meaning(reason, int(problem.code or 0), _words(reason, problem.message, place))

    def _meaning(self, reason: str, code: int, told: str) -> Exception:
        if reason in _PASSING or ((code in (408, 429) or code >= 500) and reason not in _DENIED):
            return FailedTry(self.where, told)
        if reason in _DENIED or code in (401, 403):
            return DestinationDenied(
                f"{self.where}: {told}. Headwater needs the role BigQuery User on the project and BigQuery Data Editor"
                " on the dataset, and credentials that have not expired"
            )
        if reason == "notFound" or code == 404:
            return Missing(f"{self.where}: {told}")
        if code in (409, 412):
            return Taken(f"{self.where}: {told}")
        return RowsRefused(f"{self.where}: BigQuery refused: {told}. The partition is as it was")


def _words(reason: str, message: str, place: str) -> str:
    """Return BigQuery's own words in a line: reason, message, place."""
    where = f" (at {place})" if place and place not in message else ""
    return _line(f"{reason}: {message}{where}" if reason else f"{message}{where}")


def _line(problem: object) -> str:
    """Return words in one line, without the key that lets others go on with an upload."""
    text = " ".join(str(problem).split()) or type(problem).__name__
    return re.sub(r"(upload_id|access_token|key)=[^&\s)'\"]+", r"\1=…", text)[:500]
