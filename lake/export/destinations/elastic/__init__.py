"""Elasticsearch: the rows of a table as documents of the Elastic Common Schema (ECS), by the bulk API.

A document's `_id` follows from table, hour and event, so an event that is sent again is the same document. Documents
carry `headwater.push`, which follows from the rows of the whole hour: what an hour had before and has no longer is
found by it and deleted, after the new documents are there. Of the checksum a document holds its own part, in two halves
(`checksum_high`, `checksum_low`), because Elasticsearch adds up in DOUBLE: so an hour is counted and added up there:

    POST headwater-authentication-*/_search
    {"size": 0, "track_total_hits": true, "query": {"term": {"headwater.hour": "2026-03-02T04"}},
     "aggs": {"high": {"sum": {"field": "headwater.checksum_high"}},
              "low": {"sum": {"field": "headwater.checksum_low"}}}}

and the checksum is high · 65,536 + low.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from lake.export.destination import NOTHING, Delivery, Held, Partition, Place, check_url, secret_of
from lake.export.destinations.elastic.cluster import Cluster
from lake.export.destinations.elastic.sending import Sending, rows, token
from lake.export.ecs import OWN, OWN_TYPES, mapping
from lake.export.errors import RowsRefused
from lake.export.rows import Reader
from lake.storage import paths

TYPES = {
    "boolean": "boolean; in `ocsf` a keyword",
    "integer": "long; in `ocsf` a keyword (the document's text keeps all digits)",
    "number": "float, double; in `ocsf` a keyword",
    "text": "keyword, wildcard, match_only_text, ip",
    "timestamp": "date: searched by milliseconds, microseconds stay in the document's text",
    "date": "keyword",
    "binary": "keyword, base64",
    "json": "in `ocsf`, flattened",
    "object": "object; in `ocsf` flattened",
    "list": "as its elements; in `ocsf` flattened",
    "map": "in `ocsf`, flattened",
}
NOTES = (
    "NULL is left out, and so is an empty text in ECS fields; in `ocsf` empty texts, lists and objects stay in the"
    " document's text, though no search finds them.",
    "Texts beyond 1,024 characters (8,191 in `ocsf`) are in the document, but not found by their whole value.",
    "An hour is replaced document by document: new and changed ones first, then those go that it no longer has. Of a"
    " data stream, which cannot overwrite, they go first.",
)
_TURNS = 2


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`url` is the cluster's; `api_key_env` names the variable with the (encoded) API key, read when it is used.

    `index` is the name of an index, or with `data_stream` of a data stream; in it `{table}` is the table, `{month}` and
    `{day}` the event hour's (`2026.03`, `2026.03.02`). An index that is not there is made, with a mapping by which
    nothing that arrives makes new fields; `create_index: false` leaves that to templates. A data stream needs a
    template of your own with that mapping (`headwater.*` and `ocsf`).
    """

    url: str
    api_key_env: str = "HEADWATER_ELASTIC_API_KEY"
    index: str = "headwater-{table}-{month}"
    data_stream: bool = False
    create_index: bool = True
    batch_bytes: int = 5_000_000
    retry_seconds: float = 120
    timeout_seconds: float = 120
    verify: bool = True
    ca_file: str = ""

    def __post_init__(self) -> None:
        """Raise ValueError for an address over which the key would go in clear, and for a name that cannot be."""
        check_url(self.url, "api_key_env")
        name = _filled(self.index, "table", Partition.of("2026-03-02T04"))
        if name != name.lower() or name[:1] in "-_+." or set(name) & set('\\/*?"<>| ,#:{}') or len(name) > 200:
            raise ValueError(f"index: {self.index!r} cannot be the name of an index")
        if not 1000 <= self.batch_bytes <= 100_000_000:
            raise ValueError("batch_bytes: expected 1,000 to 100,000,000 (Elasticsearch takes 100 MB)")


def open_destination(name: str, options: Options, place: Place) -> "Elastic":
    """Return the destination; no request is made."""
    return Elastic(options)


class Elastic:
    """One cluster."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._opened: Cluster | None = None

    @property
    def identity(self) -> str:
        """Return address and index."""
        kind = "data stream" if self._options.data_stream else "index"
        return f"elastic {self._options.url.rstrip('/')} {kind} {self._options.index}"

    def push(self, table: str, partition: Partition, reader: Reader) -> Delivery:
        """Send the hour's documents, delete those that it no longer has, and count it."""
        index = self._index(table, partition)
        if self._options.create_index and not self._options.data_stream and reader.rows:
            self._cluster.create(index, {"mappings": mapping()})
        push, sending = token(reader), self._sending(index)
        for turn in range(_TURNS):
            sending.refused.clear()
            if self._options.data_stream:
                # Once a stream has rolled over, it takes the same id again: then all of the hour goes first.
                self._clear(index, table, partition, "" if turn else push)
            sending.send(rows(table, partition, reader, push))
            if not self._options.data_stream:
                self._clear(index, table, partition, push)
            self._cluster.refresh(index)
            held = self._held(index, table, partition)
            if held.rows == reader.rows - len(sending.refused):
                break  # else another push of the hour, of other rows, was in between
        remote = {"index": index, "requests": str(sending.requests)}
        return Delivery(
            held=held, bytes=sending.sent_bytes, proof="query", refused=tuple(sending.refused), remote=remote
        )

    def _sending(self, index: str) -> Sending:
        said = self._options
        return Sending(self._cluster, index, said.data_stream, said.batch_bytes, said.retry_seconds)

    def read_back(self, table: str, partition: Partition) -> Held:
        """Count the hour's documents and add up their parts of the checksum, by a search."""
        self._cluster.refresh(self._index(table, partition))
        return self._held(self._index(table, partition), table, partition)

    def close(self) -> None:
        """End connections."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    @property
    def _cluster(self) -> Cluster:
        if self._opened is None:
            self._opened = Cluster(
                self._options.url,
                secret_of(self._options.api_key_env, self._options.url).strip(),
                verify=self._options.ca_file or self._options.verify,
                timeout_seconds=self._options.timeout_seconds,
                retry_seconds=self._options.retry_seconds,
            )
        return self._opened

    def _index(self, table: str, partition: Partition) -> str:
        return _filled(self._options.index, paths.checked(table), partition)

    def _held(self, index: str, table: str, partition: Partition) -> Held:
        halves = {name: {"sum": {"field": f"{OWN}.checksum_{name}"}} for name in ("high", "low")}
        found = self._cluster.search(
            index, {"size": 0, "track_total_hits": True, "query": _of(table, partition), "aggs": halves}
        )
        if found is None:
            return NOTHING
        high, low = (round(found["aggregations"][name]["value"] or 0) for name in ("high", "low"))
        return Held(rows=int(found["hits"]["total"]["value"]), checksum=(high << 16) + low)

    def _clear(self, index: str, table: str, partition: Partition, push: str) -> None:
        """Delete the documents of the hour that are of another push.

        Raises:
            RowsRefused: the index has another mapping, by which the query could find documents that are to stay.
        """
        types = self._cluster.types(index, f"{OWN}.*")
        if types is None:
            return
        wanted = {f"{OWN}.{name}": kind for name, kind in OWN_TYPES.items()}
        if wrong := sorted(
            f"{name} is {types.get(name, 'missing')}" for name in wanted if types.get(name) != wanted[name]
        ):
            raise RowsRefused(
                f"{self._options.url}/{index}: its mapping is not the one that exports need ({'; '.join(wrong)}): give"
                f" its template {', '.join(f'{name}: {kind}' for name, kind in sorted(wanted.items()))}. Nothing was"
                " deleted"
            )
        self._cluster.refresh(index)  # a search, and so a deletion, sees only what has been refreshed
        old = {"must_not": [{"term": {f"{OWN}.push": push}}]}
        query = {"bool": {"filter": [_of(table, partition)], **old}}
        self._cluster.delete_by_query(index, query)


def _filled(name: str, table: str, partition: Partition) -> str:
    parts = {"{table}": table, "{month}": f"{partition.date:%Y.%m}", "{day}": f"{partition.date:%Y.%m.%d}"}
    for word, value in parts.items():
        name = name.replace(word, value)
    return name


def _of(table: str, partition: Partition) -> Mapping[str, Any]:
    """Return the query of a table's hour."""
    terms = {f"{OWN}.table": table, f"{OWN}.hour": str(partition)}
    return {"bool": {"filter": [{"term": {name: value}} for name, value in terms.items()]}}
