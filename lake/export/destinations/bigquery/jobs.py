"""Asking BigQuery: requests within a bound, jobs that are found again by their id, and what errors mean.

What belongs here: the client, retries, jobs. What does not: tables and rows.

A job has an id of ours. Whoever lost the answer asks for the job by its id: it is there, and is waited for, or it is
not, and is sent again under the same id. Nothing is run twice by a lost answer.
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

from lake.export.errors import DestinationDenied, DestinationUnavailable, ExportError, RowsRefused

T = TypeVar("T")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
PUSH_LABEL = "headwater_push"  # tells a job of this push from one of an earlier push
# https://cloud.google.com/bigquery/docs/error-messages
_PASSING = frozenset(
    (
        *("rateLimitExceeded", "jobRateLimitExceeded", "quotaExceeded", "timeout", "stopped", "tableUnavailable"),
        *("backendError", "internalError", "jobBackendError", "jobInternalError", "serviceUnavailable"),
    )
)
_DENIED = frozenset(("accessDenied", "billingNotEnabled", "blocked", "authError", "forbidden"))
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.25, 30.0


class Passing(Exception):
    """What may go well when it is asked again."""


class Missing(ExportError):
    """What was asked for does not exist."""


class Taken(ExportError):
    """The name is taken, or the thing was changed meanwhile."""


@dataclass
class Asking:
    """Requests to one project, each answered within `request_seconds`, all tries within `retry_seconds`."""

    where: str
    project: str
    location: str | None
    endpoint: str | None
    retry_seconds: float
    request_seconds: float
    job_seconds: float
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
        """Return what a harmless request answers, asked again while its failure may pass.

        Raises:
            ExportError: as BigQuery said, or nothing answered within the bound.
            Missing, Taken: for the caller to judge.
        """
        for pause in self._pauses():
            with pause, self._understood():
                return request()
        raise AssertionError("unreachable")

    def run(self, job_id: str, push: str, start: Callable[[str], Any], again: Callable[[], str]) -> Any:
        """Return a job that ended well, started as `job_id`; after one that failed for good it is `again()`.

        `start` sends the job, with the label `headwater_push`: `push`. An answer that is lost is no reason to send it
        twice: the job is looked for by its id.

        Raises:
            RowsRefused, DestinationDenied, DestinationUnavailable, ExportError: the last job did not end well.
        """
        for pause in self._pauses():
            with pause:
                found = self._started(job_id, push, start)
                if found is None:
                    job_id = again()
                    found = self._started(job_id, push, start)
                ended = self.waited(found)
                if ended.error_result:
                    job_id = again()
                    self._judge(ended)
                return ended
        raise AssertionError("unreachable")

    def _started(self, job_id: str, push: str, start: Callable[[str], Any]) -> Any:
        """Return the job of an id, None if it ended before this push: what it wrote may have been replaced since."""
        try:
            with self._understood():
                return start(job_id)
        except Taken:
            found = self.asked(lambda: self.client.get_job(job_id, location=self.location, **self.timing))
            ours = (found.labels or {}).get(PUSH_LABEL) == push
            return found if ours or found.state != "DONE" else None
        except Passing as lost:
            try:
                return self.asked(lambda: self.client.get_job(job_id, location=self.location, **self.timing))
            except Missing:
                raise lost from None

    def waited(self, job: Any) -> Any:
        """Return a job once it is done. Raises DestinationUnavailable when it runs on beyond the bound."""
        until, pause = time.monotonic() + self.job_seconds, 0.1
        while job.state != "DONE":
            if time.monotonic() > until:
                raise DestinationUnavailable(
                    f"{self.where}: job {job.job_id} still runs after {self.job_seconds:,.0f} s;"
                    " the next push waits for it"
                )
            time.sleep(pause)
            pause = min(pause * 1.5, 5.0)
            job_id, location = job.job_id, job.location or self.location
            job = self.asked(lambda: self.client.get_job(job_id, location=location, **self.timing))  # noqa: B023
        return job

    def running(self, prefix: str) -> list[Any]:
        """Return jobs with ids of a prefix that are not done."""
        found = []
        for state in ("pending", "running"):
            listed = self.asked(lambda: list(self.client.list_jobs(state_filter=state, **self.timing)))  # noqa: B023
            found += [each for each in listed if each.job_id.startswith(prefix) and each.state != "DONE"]
        return found

    def _judge(self, job: Any) -> None:
        said = job.error_result
        told = f"job {job.job_id}: {_said(said.get('reason', ''), said.get('message', ''), said.get('location', ''))}"
        raise self._meaning(said.get("reason", ""), 400, told)

    def _pauses(self) -> Iterator["_Try"]:
        """Yield tries until the bound; the last one lets the failure through, as DestinationUnavailable."""
        until, seconds = time.monotonic() + self.retry_seconds, _FIRST_PAUSE_SECONDS
        while True:
            last = time.monotonic() + seconds > until
            yield _Try(self, seconds, last)
            seconds = min(seconds * 2, _LONGEST_PAUSE_SECONDS)

    @contextmanager
    def _understood(self) -> Iterator[None]:
        """Tell the errors of Google's client and of the network as what they mean here."""
        import requests
        from google.api_core import exceptions as api
        from google.auth import exceptions as auth

        try:
            yield
        except api.GoogleAPICallError as problem:
            raise self._of_answer(problem) from None
        except auth.TransportError as problem:
            raise Passing(_line(problem)) from None
        except auth.GoogleAuthError as problem:
            if getattr(problem, "retryable", False):
                raise Passing(_line(problem)) from None
            raise DestinationDenied(
                f"{self.where}: the Google credentials are missing, expired or refused ({_line(problem)}). Renew them"
                " (`gcloud auth application-default login`), or set GOOGLE_APPLICATION_CREDENTIALS; then push again"
            ) from None
        except (requests.RequestException, api.RetryError, ConnectionError, TimeoutError) as problem:
            raise Passing(_line(problem)) from None

    def _of_answer(self, problem: Any) -> Exception:
        first = (problem.errors or [{}])[0]
        reason = str(first.get("reason", "")) if isinstance(first, dict) else ""
        place = str(first.get("location", "")) if isinstance(first, dict) else ""
        return self._meaning(reason, int(problem.code or 0), _said(reason, problem.message, place))

    def _meaning(self, reason: str, code: int, told: str) -> Exception:
        if reason in _PASSING or ((code in (408, 429) or code >= 500) and reason not in _DENIED):
            return Passing(told)
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


@dataclass
class _Try:
    """One of several tries: what may pass is waited for, unless this is the last."""

    asking: Asking
    seconds: float
    last: bool

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: object) -> bool:
        if not isinstance(problem, Passing):
            return False
        if self.last:
            raise DestinationUnavailable(
                f"{self.asking.where} does not answer, or is over a quota: {problem}. The rows are in the lake;"
                " the hour stays behind and is pushed again"
            ) from None
        time.sleep(self.seconds)
        return True


def _said(reason: str, message: str, place: str) -> str:
    """Return BigQuery's own words in a line: reason, message, place."""
    where = f" (at {place})" if place and place not in message else ""
    return _line(f"{reason}: {message}{where}" if reason else f"{message}{where}")


def _line(problem: object) -> str:
    """Return words in one line, without the key that lets others go on with an upload."""
    text = " ".join(str(problem).split()) or type(problem).__name__
    return re.sub(r"(upload_id|access_token|key)=[^&\s)'\"]+", r"\1=…", text)[:500]
