"""A TAXII 2.1 collection: its STIX objects, all of them or those added since the last load.

Pages are read until `more` is false, along `next`, or, where a server says `more` without `next`, along the time in
`X-TAXII-Date-Added-Last`. What was added is asked for from `overlap_seconds` before the last load on: the server's
clock is another, and what comes twice changes nothing. A relationship that is added later than its indicator is not
seen with it, until a load of everything (`mode: full`).

Facts: TAXII 2.1 (docs.oasis-open.org/cti/taxii/v2.1), sections 3.4 (pages), 5.4 (objects); media type
application/taxii+json;version=2.1, 406 for another.
"""

import json
import tempfile
from collections.abc import Iterator
from typing import IO

from ingest.reference.apis.taxii import CollectionOptions, TaxiiCollection
from ingest.reference.formats import Mode, Source
from ingest.reference.reading.stix_objects import Found, stix_entries
from ingest.reference.tables import INDICATORS, Entry, Reject

TABLES = (INDICATORS,)
MODE: Mode = "partial"
READS = "api"


class Options(CollectionOptions):
    """See `CollectionOptions`."""


def read(source: Source, options: Options) -> Iterator[Entry | Reject]:
    """Yield the entries of the collection's indicators, once all pages have come. Raises FetchError."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as spool:
        for value in TaxiiCollection(options).objects(source.since):
            spool.write(json.dumps(value) + "\n")
        yield from stix_entries(source, lambda: _objects(spool))


def _objects(spool: IO[str]) -> Iterator[Found]:
    spool.seek(0)
    for number, line in enumerate(spool, start=1):
        value = json.loads(line)
        where = f"object {number}"
        yield (value, where) if isinstance(value, dict) else Reject(line[:200], where, "no object")
