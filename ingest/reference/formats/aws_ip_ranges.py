"""Amazon's `ip-ranges.json`: the ranges of AWS, by service and region.

Source: docs.aws.amazon.com/vpc/latest/userguide/aws-ip-syntax.html (`prefixes` with `ip_prefix`, `ipv6_prefixes` with
`ipv6_prefix`; `createDate` as YYYY-MM-DD-hh-mm-ss; a range may occur under several services).
"""

from collections.abc import Iterator

from pydantic import Field

from ingest.reference.formats import FormatOptions, Mode, Source
from ingest.reference.reading.cloud_ranges import CloudRange, cloud_entries, document_of, items
from ingest.reference.reading.values import moment
from ingest.reference.tables import WARNING_LISTS, Entry, Reject

TABLES = (WARNING_LISTS,)
MODE: Mode = "full"
READS = "file"

_LISTS = (("prefixes", "ip_prefix"), ("ipv6_prefixes", "ipv6_prefix"))


class Options(FormatOptions):
    """`services`: only these (`AMAZON`, `EC2`, …); empty: all."""

    services: list[str] = Field(default=[])


def read(source: Source, options: Options) -> Iterator[Entry | Reject]:
    """Yield the entries of both lists. Raises FormatError: another document."""
    value = document_of(source, "ip-ranges.json of AWS", *(key for key, _ in _LISTS))
    source.told["version"] = str(value.get("syncToken", ""))
    made_at = moment(value["createDate"], ["%Y-%m-%d-%H-%M-%S"]) if value.get("createDate") else None
    if made_at:
        source.told["made_at"] = made_at.isoformat()
    for key, field in _LISTS:
        for found in items(value[key], key):
            if isinstance(found, Reject):
                yield found
                continue
            item, where = found
            service, region = str(item.get("service") or ""), str(item.get("region") or "")
            found_range = CloudRange(str(item.get(field) or ""), service, region, where)
            yield from cloud_entries(found_range, "Amazon AWS", options.services, source)
