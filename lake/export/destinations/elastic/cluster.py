"""One Elasticsearch cluster over HTTP: requests, what their answers mean, asking again within a bound.

What belongs here: requests to one index. What does not: documents, what a push is (`elastic`).

Sources: Elastic's API reference of version 8 (Bulk, Create index, Refresh, Delete by query, Search), and its pages on
`es_rejected_execution_exception`, `http.max_content_length` (413, 100 MB by default) and API keys.
"""

import gzip
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import msgspec
import requests

from lake.export.errors import DestinationDenied, DestinationUnavailable, RowsRefused

_FIRST_WAIT, _LONGEST_WAIT = 0.25, 15.0  # seconds
_BUSY = (429, 502, 503, 504)


class _Cause(msgspec.Struct):
    type: str = ""
    reason: str | None = None
    caused_by: "_Cause | None" = None


class _Item(msgspec.Struct):
    id: str = msgspec.field(name="_id", default="")
    status: int = 0
    error: _Cause | None = None


class _Bulk(msgspec.Struct):
    items: list[dict[str, _Item]]


class TooLarge(Exception):
    """The server takes no body of this size."""


@dataclass(frozen=True)
class Ended:
    """How one document of a bulk request ended: HTTP status, and Elastic's type and reason where it was not taken."""

    id: str
    status: int
    type: str = ""
    reason: str = ""


class _Key(requests.auth.AuthBase):
    """Puts the API key on a request; a netrc file of the machine is then not asked."""

    def __init__(self, key: str) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"ApiKey {self._key}"
        return request


class Cluster:
    """A cluster and the key for it."""

    def __init__(self, url: str, key: str, *, verify: bool | str, timeout_seconds: float, retry_seconds: float) -> None:
        self._url, self._timeout, self._bound = url.rstrip("/"), timeout_seconds, retry_seconds
        self._verify = verify
        self._session = requests.Session()
        self._session.auth = _Key(key)

    def close(self) -> None:
        """End connections."""
        self._session.close()

    def bulk(self, index: str, body: bytes) -> tuple[Sequence[Ended], int]:
        """Send actions and documents; return how each ended, in their order, and the bytes of the body as it was sent.

        Raises:
            TooLarge, DestinationDenied, DestinationUnavailable.
        """
        data = gzip.compress(body, 1, mtime=0)
        headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
        answer = self._asked("POST", f"/{quote(index)}/_bulk", data=data, headers=headers)
        items = [next(iter(each.values())) for each in _decoded(answer, _Bulk).items]
        return [Ended(each.id, each.status, *_told(each.error)) for each in items], len(data)

    def create(self, index: str, settings: Mapping[str, Any]) -> bool:
        """Make an index; return False when it is there already."""
        answer = self._asked("PUT", f"/{quote(index)}", json=dict(settings), fine=(400,))
        if answer.status_code == 400:
            kind, reason = _error(answer)
            if kind != "resource_already_exists_exception":
                raise RowsRefused(f"{self._where(index)} cannot be made ({kind}): {reason}")
        return answer.status_code == 200

    def types(self, index: str, fields: str) -> dict[str, str] | None:
        """Return the types of some fields (`a.*`) by name, None when there is no such index.

        Where the indices of a stream differ, the type is both.
        """
        answer = self._asked("GET", f"/{quote(index)}/_mapping/field/{quote(fields)}", fine=(404,))
        if answer.status_code == 404:
            return None
        found: dict[str, set[str]] = {}
        for each in _decoded(answer, dict[str, Any]).values():
            for name, said in each["mappings"].items():
                found.setdefault(name, set()).update(
                    str(held.get("type", "object")) for held in said["mapping"].values()
                )
        return {name: " and ".join(sorted(types)) for name, types in found.items()}

    def refresh(self, index: str) -> None:
        """Make what was written visible to searches."""
        self._asked("POST", f"/{quote(index)}/_refresh", fine=(404,))

    def delete_by_query(self, index: str, query: Mapping[str, Any]) -> int:
        """Delete the documents that a query finds; return how many. Documents that others change meanwhile stay."""
        words = "conflicts=proceed&refresh=true&wait_for_completion=true"
        answer = self._asked("POST", f"/{quote(index)}/_delete_by_query?{words}", json={"query": query}, fine=(404,))
        if answer.status_code == 404:
            return 0
        told = _decoded(answer, dict[str, Any])
        if told.get("failures"):
            raise DestinationUnavailable(
                f"{self._where(index)}: not all could be deleted: {str(told['failures'])[:300]}"
            )
        return int(told.get("deleted", 0))

    def search(self, index: str, body: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the answer of a search that every shard took part in; None when there is no such index.

        Raises:
            DestinationUnavailable: a shard did not answer, so that the answer would be of a part.
        """
        answer = self._asked("POST", f"/{quote(index)}/_search", json=dict(body), fine=(404,))
        if answer.status_code == 404:
            return None
        told: dict[str, Any] = _decoded(answer, dict[str, Any])
        if told.get("timed_out") or told.get("_shards", {}).get("failed"):
            raise DestinationUnavailable(f"{self._where(index)}: some shards did not answer; push or verify again")
        return told

    def _asked(self, method: str, path: str, fine: Sequence[int] = (), **words: Any) -> requests.Response:
        """Ask until there is an answer other than "busy", within the bound."""
        ends, pause = time.monotonic() + self._bound, _FIRST_WAIT
        while True:
            try:
                answer = self._session.request(
                    method, self._url + path, timeout=self._timeout, verify=self._verify, allow_redirects=False, **words
                )
            except requests.exceptions.SSLError as problem:
                raise DestinationDenied(
                    f"{self._url}: the certificate is not trusted ({type(problem).__name__}): say `ca_file`"
                ) from None
            except requests.RequestException as problem:
                last = f"no answer ({type(problem).__name__})"
            else:
                if answer.status_code in (200, 201, *fine):
                    return answer
                if answer.status_code not in _BUSY:
                    raise self._problem(answer, path)
                last = f"{answer.status_code} {': '.join(filter(None, _error(answer)))}".strip()
            if time.monotonic() + pause > ends:
                raise DestinationUnavailable(f"{self._url}: {last}, for {self._bound:g} seconds; push again later")
            time.sleep(pause * random.uniform(0.5, 1))
            pause = min(pause * 2, _LONGEST_WAIT)

    def _problem(self, answer: requests.Response, path: str) -> Exception:
        status, (kind, reason) = answer.status_code, _error(answer)
        said = f"{self._url}: {status} {kind}: {reason}"
        if status == 413:
            return TooLarge(said)
        if status == 401:
            return DestinationDenied(f"{said}. The API key is wrong, expired or invalidated: make a new one")
        if status == 403:
            return DestinationDenied(
                f"{said}. The API key needs create_index, index, delete, read, maintenance and view_index_metadata on"
                f" {path.split('/')[1]}"
            )
        if status >= 500:
            return DestinationUnavailable(f"{said}; push again later")
        return RowsRefused(said)

    def _where(self, index: str) -> str:
        return f"{self._url}/{index}"


def _decoded(answer: requests.Response, type_: Any) -> Any:
    try:
        return msgspec.json.decode(answer.content, type=type_)
    except msgspec.MsgspecError as problem:
        raise DestinationUnavailable(
            f"{answer.url.split('?')[0]} gave no answer of Elasticsearch's: {problem}"
        ) from None


def _error(answer: requests.Response) -> tuple[str, str]:
    """Return type and reason of an error's body; a proxy in between may answer with something else."""

    class Body(msgspec.Struct):
        error: _Cause | str = ""

    try:
        held = msgspec.json.decode(answer.content, type=Body).error
    except msgspec.MsgspecError:
        return "", ""
    return _told(held) if isinstance(held, _Cause) else ("", held[:300])


def _told(cause: _Cause | None) -> tuple[str, str]:
    """Return type and reason, with the deepest cause's reason, which is the one that names the value."""
    if cause is None:
        return "", ""
    reason, deepest = cause.reason or "", cause
    while deepest.caused_by is not None:
        deepest = deepest.caused_by
    told = reason if deepest is cause else f"{reason} ({deepest.reason or deepest.type})"
    return cause.type, told[:1000]
