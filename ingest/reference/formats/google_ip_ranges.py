"""Google's `cloud.json` (ranges of customers' resources, by region) and `goog.json` (all that Google announces).

Source: support.google.com/a/answer/10026322 and cloud.google.com/compute/docs/faq#find_ip_range: `prefixes` with
`ipv4Prefix` or `ipv6Prefix`, in cloud.json also `service` and `scope`.
"""

from collections.abc import Iterator

from ingest.reference.formats import FormatOptions, Mode, Source
from ingest.reference.reading.cloud_ranges import CloudRange, cloud_entries, document_of, items
from ingest.reference.tables import WARNING_LISTS, Entry, Reject

TABLES = (WARNING_LISTS,)
MODE: Mode = "full"
READS = "file"


class Options(FormatOptions):
    """`name`: what the list is called; default: Google Cloud where it names services, else Google."""

    name: str = ""


def read(source: Source, options: Options) -> Iterator[Entry | Reject]:
    """Yield the entries of the list. Raises FormatError: another document."""
    value = document_of(source, "cloud.json or goog.json of Google", "prefixes")
    source.told["version"] = str(value.get("syncToken", ""))
    if value.get("creationTime"):
        source.told["made_at"] = str(value["creationTime"])
    for found in items(value["prefixes"], "prefixes"):
        if isinstance(found, Reject):
            yield found
            continue
        item, where = found
        prefix = str(item.get("ipv4Prefix") or item.get("ipv6Prefix") or "")
        name = options.name or ("Google Cloud" if item.get("service") else "Google")
        found_range = CloudRange(prefix, str(item.get("service") or ""), str(item.get("scope") or ""), where)
        yield from cloud_entries(found_range, name, [], source)
