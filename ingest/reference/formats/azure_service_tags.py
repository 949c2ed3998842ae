"""Microsoft's `ServiceTags_*.json`: the ranges of Azure's services, one tag for each service and region.

Source: learn.microsoft.com/azure/virtual-network/service-tags-overview: `cloud`, `changeNumber`, and `values`, each
with `name`, and under `properties` `region`, `systemService`, `addressPrefixes`. A range occurs in the tag of its
service, of its region, and in `AzureCloud`.
"""

from collections.abc import Iterator
from typing import Any

from pydantic import Field

from ingest.reference.formats import FormatOptions, Mode, Source
from ingest.reference.reading.cloud_ranges import CloudRange, cloud_entries, document_of, items
from ingest.reference.tables import WARNING_LISTS, Entry, Reject

TABLES = (WARNING_LISTS,)
MODE: Mode = "full"
READS = "file"


class Options(FormatOptions):
    """`tags`: only these service tags, by name (`AzureCloud`, `Storage.WestEurope`, …); empty: all."""

    tags: list[str] = Field(default=[])


def read(source: Source, options: Options) -> Iterator[Entry | Reject]:
    """Yield the entries of every tag. Raises FormatError: another document."""
    value = document_of(source, "ServiceTags file of Azure", "values")
    source.told["version"] = str(value.get("changeNumber", ""))
    name = f"Microsoft Azure {value.get('cloud') or ''}".strip()
    for found in items(value["values"], "values"):
        if isinstance(found, Reject):
            yield found
        else:
            yield from _tag(source, options, name, *found)


def _tag(source: Source, options: Options, name: str, item: dict[str, Any], where: str) -> Iterator[Entry | Reject]:
    tag = str(item.get("name") or "")
    properties = item.get("properties")
    prefixes = properties.get("addressPrefixes") if isinstance(properties, dict) else None
    if not isinstance(prefixes, list):
        yield Reject(tag, where, "the tag has no addressPrefixes")
        return
    if not prefixes:
        source.skipped["tag without ranges"] += 1
    for prefix in prefixes:
        yield from cloud_entries(CloudRange(str(prefix), tag, "", f"{where} {tag}"), name, options.tags, source)
