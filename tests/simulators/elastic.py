"""As much of Elasticsearch 8 as takes documents and counts them, in threads of this process, in memory.

Belongs here: indices and data streams, bulk, refresh, delete by query, search with filters and sums, and their errors
as Elastic documents them: what is written is searched only after a refresh; a mapping's types are checked (400
`document_parsing_exception`); `create` of what is there is a conflict (409); a data stream takes nothing but `create`;
busy shards refuse documents one by one (429); a body may be too large (413). Not here: broken connections
(`faulty_http`). Sources: Elastic's API reference of version 8, and the error bodies that its guides show.
"""

from __future__ import annotations

import gzip
import ipaddress
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from orchestration.demo.simulators.loopback import LoopbackHandler, LoopbackServer

_INTEGERS = {"long": 63, "integer": 31, "short": 15}
_DATE = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?)?\Z")
_LONGEST_TERM = 32766  # bytes, Lucene's
_PRIVILEGES = {
    "GET": "view_index_metadata",
    "PUT": "create_index",
    "_bulk": "index",
    "_refresh": "maintenance",
    "_delete_by_query": "delete",
}


class Refused(Exception):
    """An answer that is an error: HTTP status, Elastic's type and reason, and the cause below."""

    def __init__(self, status: int, kind: str, reason: str, cause: dict[str, Any] | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.body = {"type": kind, "reason": reason} | ({"caused_by": cause} if cause else {})


@dataclass
class Index:
    """Documents by id, with the sequence number of their last change; `seen` is what searches see."""

    mappings: dict[str, Any]
    stream: bool = False
    documents: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    seen: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)


class _Handler(LoopbackHandler):
    server_of: ElasticServer

    def _serve(self) -> None:
        body = self.content()
        place = urlsplit(self.path)
        path = unquote(place.path)
        status = 200
        try:
            answer: Any = self.server_of.answer(self.command, path, parse_qs(place.query), self.headers, body)
        except Refused as problem:
            status = problem.status
            answer = {"error": {"root_cause": [problem.body], **problem.body}, "status": status}
        self.server_of.record((path.split("/")[-1] if "/_" in path else self.command, status))
        data = b"" if status == 413 else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("X-elastic-product", "Elasticsearch")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = _serve


class ElasticServer(LoopbackServer):
    """The server. `act` is called before a request with its path; what it raises is the answer."""

    handler = _Handler

    def __init__(self, keys: dict[str, set[str] | None] | None = None, max_content_length: int = 100 << 20) -> None:
        super().__init__()
        self.keys = keys if keys is not None else {"key": None}  # key → its privileges, None: all
        self.max_content_length = max_content_length
        self.indices: dict[str, Index] = {}
        self.busy: Callable[[str], bool] = lambda _id: False  # whether the shard of a document is busy
        self.act: Callable[[str], object] = lambda _path: None
        self.failed_shards = 0
        self._sequence = 0

    def stream(self, name: str, mappings: dict[str, Any]) -> None:
        """Put a template for a data stream, which the first document then makes."""
        self.indices[name] = Index(mappings, stream=True)

    def documents(self, name: str) -> list[dict[str, Any]]:
        """What an index holds, in the order of changes; also what no search sees yet."""
        held = self.indices[name].documents if name in self.indices else {}
        return [document for _, document in sorted(held.values(), key=lambda each: each[0])]

    def answer(self, method: str, path: str, words: dict[str, list[str]], headers: Any, body: bytes) -> dict[str, Any]:
        """Return the body of an answer. Raises Refused."""
        self._allow(headers.get("Authorization", ""), method, path)
        self.act(path)
        if headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        if len(body) > self.max_content_length:
            raise Refused(413, "", "")
        name, _, action = path.strip("/").partition("/")
        with self._lock:
            if method == "PUT" and not action:
                return self._create(name, json.loads(body or b"{}"))
            if action == "_bulk":
                return self._bulk(name, body, headers.get("Content-Type", ""))
            index = self._index(name)
            if action == "_refresh":
                index.seen = dict(index.documents)
                return {"_shards": {"total": 1, "successful": 1, "failed": 0}}
            if action == "_delete_by_query":
                return self._delete(index, json.loads(body), words)
            if action.startswith("_mapping/field/"):
                return _types(name, index, action.split("/")[-1])
            if action == "_search":
                return self._search(index, json.loads(body))
        raise Refused(400, "illegal_argument_exception", f"no handler found for uri [{path}] and method [{method}]")

    def _allow(self, given: str, method: str, path: str) -> None:
        key = given.removeprefix("ApiKey ")
        if key not in self.keys:
            raise Refused(401, "security_exception", "unable to authenticate with provided credentials")
        needed = next((held for word, held in _PRIVILEGES.items() if word in (method, path.split("/")[-1])), "read")
        if self.keys[key] is not None and needed not in (self.keys[key] or ()):
            action = {"index": "indices:data/write/bulk"}.get(needed, f"indices:{needed}")
            raise Refused(
                403,
                "security_exception",
                f"action [{action}] is unauthorized for API key id [x] of user [y] on indices [{path.split('/')[1]}],"
                f" this action is granted by the index privileges [{needed},all]",
            )

    def _index(self, name: str) -> Index:
        if name not in self.indices:
            raise Refused(404, "index_not_found_exception", f"no such index [{name}]")
        return self.indices[name]

    def _create(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        if name in self.indices:
            raise Refused(400, "resource_already_exists_exception", f"index [{name}/x] already exists")
        if name != name.lower():
            raise Refused(400, "invalid_index_name_exception", f"Invalid index name [{name}], must be lowercase")
        self.indices[name] = Index(body.get("mappings", {}))
        return {"acknowledged": True, "shards_acknowledged": True, "index": name}

    def _bulk(self, name: str, body: bytes, kind: str) -> dict[str, Any]:
        if kind not in ("application/x-ndjson", "application/json"):
            raise Refused(406, "", f"Content-Type header [{kind}] is not supported")
        if not body.endswith(b"\n"):
            raise Refused(400, "illegal_argument_exception", "The bulk request must be terminated by a newline [\\n]")
        index = self.indices.setdefault(name, Index({"dynamic": True}))
        lines = body.split(b"\n")[:-1]
        items = []
        for at in range(0, len(lines), 2):
            ((action, words),) = json.loads(lines[at]).items()
            held = {"_index": name, "_id": words["_id"]}
            try:
                held |= self._write(index, action, words["_id"], lines[at + 1])
            except Refused as problem:
                held |= {"status": problem.status, "error": problem.body}
            items.append({action: held})
        return {"took": 1, "errors": any("error" in next(iter(each.values())) for each in items), "items": items}

    def _write(self, index: Index, action: str, id_: str, line: bytes) -> dict[str, Any]:
        if index.stream and action != "create":
            raise Refused(
                400,
                "illegal_argument_exception",
                "only write ops with an op_type of create are allowed in data streams",
            )
        if len(id_.encode()) > 512:
            raise Refused(400, "illegal_argument_exception", "id is too long, must be no longer than 512 bytes")
        if self.busy(id_):
            raise Refused(
                429,
                "es_rejected_execution_exception",
                "rejected execution of coordinating operation [coordinating_and_primary_bytes=0, max=1]",
            )
        there = id_ in index.documents
        if there and action == "create":
            raise Refused(
                409,
                "version_conflict_engine_exception",
                f"[{id_}]: version conflict, document already exists (current version [1])",
            )
        document = json.loads(line)
        if index.stream and "@timestamp" not in document:
            raise Refused(400, "illegal_argument_exception", "data stream timestamp field [@timestamp] is missing")
        _check(document, index.mappings.get("properties", {}))
        self._sequence += 1
        index.documents[id_] = (self._sequence, document)
        return {"status": 200 if there else 201, "result": "updated" if there else "created", "_seq_no": self._sequence}

    def _delete(self, index: Index, body: dict[str, Any], words: dict[str, list[str]]) -> dict[str, Any]:
        found = [id_ for id_, (_, document) in index.seen.items() if _matches(document, body["query"])]
        conflicts = [id_ for id_ in found if index.documents.get(id_, (0,))[0] != index.seen[id_][0]]
        if conflicts and words.get("conflicts") != ["proceed"]:
            raise Refused(409, "version_conflict_engine_exception", "version conflict, required seqNo differs")
        for id_ in set(found) - set(conflicts):
            del index.documents[id_]
        if words.get("refresh") == ["true"]:
            index.seen = dict(index.documents)
        return {"total": len(found), "deleted": len(found) - len(conflicts), "version_conflicts": len(conflicts)} | {
            "failures": []
        }

    def _search(self, index: Index, body: dict[str, Any]) -> dict[str, Any]:
        found = [document for _, document in index.seen.values() if _matches(document, body["query"])]
        total = {"value": len(found), "relation": "eq"}
        if body.get("track_total_hits") is not True and len(found) > 10_000:
            total = {"value": 10_000, "relation": "gte"}
        sums = {
            name: {"value": float(sum(float(_at(each, said["sum"]["field"]) or 0) for each in found))}
            for name, said in body.get("aggs", {}).items()
        }
        shards = {"total": 1, "successful": 1 - self.failed_shards, "failed": self.failed_shards}
        return {"timed_out": False, "_shards": shards, "hits": {"total": total, "hits": []}, "aggregations": sums}


def _types(name: str, index: Index, pattern: str) -> dict[str, Any]:
    """Answer which types the fields of one object have; where nothing maps them, a text is `text`, as it would be."""
    prefix = pattern.removesuffix("*")
    held = index.mappings
    for part in prefix.strip(".").split("."):
        held = held.get("properties", {}).get(part, {})
    types = {each: said["type"] for each, said in held.get("properties", {}).items()}
    if not types and index.mappings.get("dynamic") is True:
        first = next(iter(index.documents.values()), (0, {}))[1]
        types = {
            each: "text" if isinstance(value, str) else "long" for each, value in first.get(prefix[:-1], {}).items()
        }
    told = {f"{prefix}{each}": {"full_name": each, "mapping": {each: {"type": type_}}} for each, type_ in types.items()}
    return {name: {"mappings": told}}


def _at(document: Any, path: str) -> Any:
    for part in path.split("."):
        document = document.get(part) if isinstance(document, dict) else None
    return document


def _matches(document: dict[str, Any], query: dict[str, Any]) -> bool:
    ((kind, said),) = query.items()
    if kind == "term":
        ((path, value),) = said.items()
        return bool(_at(document, path) == value)
    if kind == "bool" and set(said) <= {"filter", "must_not"}:
        return all(_matches(document, each) for each in said.get("filter", ())) and not any(
            _matches(document, each) for each in said.get("must_not", ())
        )
    raise Refused(400, "parsing_exception", f"unknown query [{kind}]")


def _check(document: Any, properties: dict[str, Any], path: str = "") -> None:
    """Hold a document against a mapping; fields without one are left alone, as with `dynamic: false`."""
    for name, value in document.items():
        said = properties.get(name)
        if said is None or value is None:
            continue
        where = f"{path}{name}"
        if "properties" in said:
            for each in value if isinstance(value, list) else [value]:
                if not isinstance(each, dict):
                    raise _parsing(where, "object", f"object mapping for [{where}] tried to parse field as object")
                _check(each, said["properties"], f"{where}.")
        elif said["type"] == "flattened":
            if not isinstance(value, dict):
                raise _parsing(where, "flattened", "Failed to parse object: expecting token of type [START_OBJECT]")
            _depth(value, where, 1)
        else:
            for each in value if isinstance(value, list) else [value]:
                _check_value(where, said, each)


def _check_value(where: str, said: dict[str, Any], value: Any) -> None:
    kind = said["type"]
    if value is None:
        return
    if isinstance(value, dict):
        raise _parsing(where, kind, "Can't get text on a START_OBJECT")
    if kind == "ip":
        try:
            ipaddress.ip_address(str(value))
        except ValueError:
            raise _parsing(where, kind, f"'{value}' is not an IP string literal.") from None
    elif kind == "date" and not _DATE.match(str(value)):
        raise _parsing(where, kind, f"failed to parse date field [{value}] with format [strict_date_optional_time]")
    elif kind in _INTEGERS:
        if isinstance(value, bool) or not re.match(r"-?\d+\Z", str(value)):
            raise _parsing(where, kind, f'For input string: "{value}"')
        if abs(int(value)) > 1 << _INTEGERS[kind]:
            raise _parsing(where, kind, f"Value [{value}] is out of range for {'a' if kind == 'long' else 'an'} {kind}")
    elif kind == "keyword" and "ignore_above" not in said and len(str(value).encode()) > _LONGEST_TERM:
        raise _parsing(where, kind, f'Document contains at least one immense term in field="{where}"')


def _depth(value: Any, where: str, depth: int) -> None:
    if depth > 20:
        raise _parsing(where, "flattened", "The provided [flattened] field is too deep: depth limit [20] exceeded")
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _depth(each, where, depth + isinstance(each, dict))


def _parsing(where: str, kind: str, why: str) -> Refused:
    reason = f"[1:1] failed to parse field [{where}] of type [{kind}] in document with id 'x'."
    return Refused(400, "document_parsing_exception", reason, {"type": "illegal_argument_exception", "reason": why})
