"""One Elasticsearch cluster over HTTP: requests to one index, and what their answers mean.

Sources: Elastic's API reference of version 8 (Bulk, Create index, Refresh, Delete by query, Search), and its pages on
`es_rejected_execution_exception`, `http.max_content_length` (413, 100 MB by default) and API keys.
"""

import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import msgspec

from lake.base.http import Answer, FailedTry, GaveUp, HeaderAuth, HttpClient, Retry
from lake.export.errors import DestinationDenied, DestinationUnavailable, RowsRefused

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


class Cluster:
    """A cluster and the key for it."""

    def __init__(self, url: str, key: str, *, verify: bool | str, timeout_seconds: float, retry_seconds: float) -> None:
        self._url = url.rstrip("/")
        self._client = HttpClient(
            auth=HeaderAuth("Authorization", lambda: f"ApiKey {key}"),
            timeout_seconds=timeout_seconds,
            verify=verify,
            retry=Retry(total_seconds=retry_seconds, statuses=_BUSY, reason=_reason),
        )

    def close(self) -> None:
        """End connections."""
        self._client.close()

    def bulk(self, index: str, body: bytes) -> tuple[Sequence[Ended], int]:
        """Send actions and documents; return how each ended, in their order, and the bytes of the body as it was sent.

        Raises:
            TooLarge, DestinationDenied, DestinationUnavailable.
        """
        data = gzip.compress(body, 1, mtime=0)
        headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
        answer = self._asked("POST", f"/{quote(index)}/_bulk", data=data, headers=headers)
        items = [next(iter(each.values())) for each in self._decoded(answer, index, _Bulk).items]
        return [Ended(each.id, each.status, *_told(each.error)) for each in items], len(data)

    def create(self, index: str, settings: Mapping[str, Any]) -> bool:
        """Make an index; return False when it is there already."""
        answer = self._asked("PUT", f"/{quote(index)}", json=dict(settings), fine=(400,))
        if answer.status == 400:
            kind, reason = _error(answer)
            if kind != "resource_already_exists_exception":
                raise RowsRefused(f"{self._where(index)} cannot be made ({kind}): {reason}")
        return answer.status == 200

    def types(self, index: str, fields: str) -> dict[str, str] | None:
        """Return the types of some fields (`a.*`) by name, None when there is no such index.

        Where the indices of a stream differ, the type is both.
        """
        answer = self._asked("GET", f"/{quote(index)}/_mapping/field/{quote(fields)}", fine=(404,))
        if answer.status == 404:
            return None
        found: dict[str, set[str]] = {}
        for each in self._decoded(answer, index, dict[str, Any]).values():
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
        if answer.status == 404:
            return 0
        told = self._decoded(answer, index, dict[str, Any])
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
        if answer.status == 404:
            return None
        told: dict[str, Any] = self._decoded(answer, index, dict[str, Any])
        if told.get("timed_out") or told.get("_shards", {}).get("failed"):
            raise DestinationUnavailable(f"{self._where(index)}: some shards did not answer; push or verify again")
        return told

    def _asked(self, method: str, path: str, fine: Sequence[int] = (), **request: Any) -> Answer:
        """Return the first answer other than "busy"."""
        try:
            answer = self._client.send(method, self._url + path, **request)
        except GaveUp as problem:
            raise DestinationUnavailable(f"{problem}; push again later") from None
        except FailedTry as problem:  # no other try would help
            raise DestinationDenied(f"{problem}: check `url`, or set `ca_file`") from None
        if answer.status not in (200, 201, *fine):
            raise self._problem(answer, path)
        return answer

    def _problem(self, answer: Answer, path: str) -> Exception:
        status, (kind, reason) = answer.status, _error(answer)
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

    def _decoded(self, answer: Answer, index: str, type_: Any) -> Any:
        try:
            return msgspec.json.decode(answer.body, type=type_)
        except msgspec.MsgspecError as problem:
            raise DestinationUnavailable(f"{self._where(index)} gave no answer of Elasticsearch's: {problem}") from None

    def _where(self, index: str) -> str:
        return f"{self._url}/{index}"


def _reason(answer: Answer) -> str:
    return f"{answer.status} {': '.join(filter(None, _error(answer)))}".strip()


def _error(answer: Answer) -> tuple[str, str]:
    """Return type and reason of an error's body; a proxy in between may answer with something else."""

    class Body(msgspec.Struct):
        error: _Cause | str = ""

    try:
        held = msgspec.json.decode(answer.body, type=Body).error
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
