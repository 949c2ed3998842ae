"""Splunk: the rows of a table as events, over the HTTP Event Collector (HEC), with indexer acknowledgement.

Splunk only adds events, it replaces and removes none. So the lake keeps, per hour, which event ids were acknowledged
with which content: a push sends what is new or changed. An event that is sent twice (an answer was lost, a row changed)
has the same `event_id`, and the newest has the largest `pushed_at`; both are indexed fields, as is `event_hour`.
Searches take the newest of each:

    index=… sourcetype="headwater:ocsf:authentication" | sort 0 - pushed_at | dedup event_id

and count them, in an hour, as a receipt does (the add-on has both as macros):

    | tstats count where index=… event_hour="2026-03-02T04" source="headwater:authentication" by event_id
    | eval part=tonumber(substr(md5(event_id), 1, 8), 16) | stats count as rows, sum(part) as checksum

`pushed_at` (microseconds) decides, for `_indextime` has whole seconds and says when Splunk got to it. Rows that left
the table (erased, filtered) stay in Splunk; receipts say how many.
"""

import uuid
from pathlib import Path

import duckdb

from lake.export.declaration import EVENT_ID
from lake.export.destination import Delivery, Held, Partition, Place, check_url, secret_of
from lake.export.destinations.splunk.collector import Collector
from lake.export.destinations.splunk.events import Shape, batches, columns, content, select
from lake.export.destinations.splunk.progress import Progress
from lake.export.destinations.splunk.sending import Sending
from lake.export.errors import ExportError, one_line
from lake.export.rows import Reader
from lake.storage import paths
from lake.storage.store import Store

TYPES = {
    "boolean": "true/false",
    "integer": "number, all 64 bits in the event's text; searches count in DOUBLE (53 bits)",
    "number": "number",
    "text": "text",
    "timestamp": "ISO text with six digits and Z; the event's own time is epoch seconds with six digits",
    "date": "text",
    "binary": "base64",
    "json": "as it is",
    "object": "object",
    "list": "array (`field{}` in searches)",
    "map": "object",
}
NOTES = (
    "NULL is left out; Splunk cannot tell an empty text, list or object from an absent one in a search, though the"
    " event's text keeps them.",
    "Splunk only adds events: changed rows are there twice, and searches take the newest; rows that left the table"
    " stay.",
)
_LITTLE = 512 << 20  # bytes: two threads that write JSON of events of 2.7 kB need more (measured)
_CHANNELS = uuid.UUID("6f1b8a0e-62d5-4b0f-8a9e-5d3c1f7e2b48")  # the name space of this product's channels


class Options(Shape, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`url` is the collector's; `token_env` names the variable with its token, which is read when events are sent.

    A body holds at most `batch_events` and `batch_bytes` (before compression): Splunk Enterprise takes 800 MB, Splunk
    Cloud about 5 MB (measured), and Splunk's own clients send up to 1 MB. `connections` bodies are under way at once,
    `unacknowledged` may wait: so many are sent twice at most after a kill. Nothing waits longer than
    `acknowledge_seconds` for an acknowledgement, or `retry_seconds` for a busy server.
    """

    url: str
    token_env: str = "HEADWATER_SPLUNK_TOKEN"
    acknowledge: bool = True
    batch_events: int = 1000
    batch_bytes: int = 1_000_000
    connections: int = 4
    unacknowledged: int = 64
    acknowledge_seconds: float = 300
    retry_seconds: float = 120
    timeout_seconds: float = 60
    verify: bool = True
    ca_file: str = ""

    def __post_init__(self) -> None:
        check_url(self.url, "token_env")
        for name in ("batch_events", "batch_bytes", "connections", "unacknowledged"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be at least 1")


def open_destination(name: str, options: Options, place: Place) -> "Splunk":
    """Return the destination; no request is made and no token read."""
    return Splunk(name, options, place.lake, place.work)


class Splunk:
    """One HEC, and one index of it."""

    def __init__(self, name: str, options: Options, lake: Store, work: Path) -> None:
        self._name, self._options, self._lake, self._work = name, options, lake, work
        self._collectors: dict[str, Collector] = {}

    @property
    def identity(self) -> str:
        """Return address and index."""
        return f"splunk {self._options.url.rstrip('/')} index {self._options.index or '(of the token)'}"

    def push(self, table: str, partition: Partition, reader: Reader) -> Delivery:
        """Send what Splunk has not acknowledged yet of the hour, in its present content."""
        progress = Progress(self._lake, self.identity, self._name, table, partition, self._work)
        try:
            with reader.connect() as con:
                if reader.memory_bytes < _LITTLE:
                    con.execute("set threads = 1")
                return self._push(con, progress, table, partition)
        except duckdb.Error as problem:
            raise ExportError(f"{table} {partition}: {one_line(problem)}") from problem

    def _push(self, con: duckdb.DuckDBPyConnection, progress: Progress, table: str, partition: Partition) -> Delivery:
        options, given = self._options, columns(con)
        again = progress.load(con)
        if not again and (why := progress.lost()):
            search = f'index={options.index or "…"} event_hour="{partition}" source="headwater:{table}"'
            raise ExportError(
                f"{table} {partition}: which events Splunk has taken is not known any more ({why}), and Splunk"
                " replaces none: all of them would be there twice. Delete those that are there"
                f" (`{search} | delete`), remove {progress.folder} and {paths.DAMAGED}/{progress.folder} with the"
                " receipt of the day, and push again"
            )
        chosen = "true"
        if again:
            con.execute(
                f"create table due as select {EVENT_ID} as id, known.id is not null as changed"
                f" from (select {EVENT_ID}, {content(given)} as content from exported) as now"
                f" left join known on known.id = {EVENT_ID} where known.content is distinct from now.content"
            )
            chosen = f"{EVENT_ID} in (select id from due)"
        (due,) = con.execute(f"select count(*) from exported where {chosen}").fetchone() or (0,)
        sending = None
        if due:
            sending = self._send(
                con, progress, table, select(options, table, partition, progress.pushed_at, given, chosen), chosen
            )
        (changed,) = (con.execute("select count(*) from due where changed").fetchone() or (0,)) if again else (0,)
        progress.load(con)
        gone = progress.vanished(con)
        held = progress.held(con)
        progress.condense(con)
        return self._delivery(held, sending, table, int(changed), gone)

    def _send(self, con: duckdb.DuckDBPyConnection, progress: Progress, table: str, sql: str, chosen: str) -> Sending:
        options, collector = self._options, self._collector(table)
        if options.acknowledge:
            collector.check()
        progress.intend(con, f"select {EVENT_ID} as id from exported where {chosen}")
        sending = Sending(
            collector,
            progress.acknowledge,
            acknowledge=options.acknowledge,
            bound_seconds=options.acknowledge_seconds,
            window=options.unacknowledged,
        )
        try:
            sending.run(batches(con, sql, options.batch_events, options.batch_bytes), options.connections)
        except BaseException:
            self._collectors.pop(table).close()
            raise
        return sending

    def _delivery(
        self, held: Held, sending: Sending | None, table: str, changed: int, gone: tuple[int, int]
    ) -> Delivery:
        notes, (sure, perhaps) = [], gone
        if changed:
            notes.append(
                f"sent again under their event_id, as changed or not acknowledged before: {changed:,} of the events;"
                " the newest has the largest pushed_at"
            )
        if sure or perhaps:
            more = f" (and {perhaps:,} that were sent and not acknowledged)" if perhaps else ""
            notes.append(f"no longer in the table, and still in Splunk, which removes nothing: events {sure:,}{more}")
        if sending is not None and sending.repeated:
            notes.append(
                f"sent again because an answer was lost: bodies {sending.repeated:,}, whose events may be there twice"
            )
        return Delivery(
            held=held,
            bytes=sending.bytes if sending else 0,
            proof="acknowledgements" if self._options.acknowledge else "responses",
            sent=sending.sent if sending else 0,
            left_behind=sure + perhaps,
            refused=tuple(sorted(sending.refused, key=lambda each: each.event_id)) if sending else (),
            remote={"channel": self._channel(table)},
            notes=tuple(notes),
        )

    def read_back(self, table: str, partition: Partition) -> Held | None:
        """Return None: a HEC takes events and tells nothing of them. Searches do; see the module."""
        return None

    def close(self) -> None:
        """End connections."""
        for each in self._collectors.values():
            each.close()
        self._collectors.clear()

    def _channel(self, table: str) -> str:
        """The same for a destination and table always: acknowledgements are numbered by channel."""
        return str(uuid.uuid5(_CHANNELS, f"{self._name}/{table}"))

    def _collector(self, table: str) -> Collector:
        options = self._options
        if table not in self._collectors:
            self._collectors[table] = Collector(
                options.url,
                secret_of(options.token_env, options.url),
                self._channel(table),
                connections=options.connections,
                timeout_seconds=options.timeout_seconds,
                retry_seconds=options.retry_seconds,
                verify=(options.ca_file or True) if options.verify else False,
            )
        return self._collectors[table]
