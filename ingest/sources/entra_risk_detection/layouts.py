"""The layouts in which collectors write Entra risk detections, turned into that of Microsoft Graph's riskDetection.

What is known: Azure Monitor's records whose `properties` are the detection; the columns of Log Analytics and Sentinel
(AADUserRiskEvents, AADServicePrincipalRiskEvents), whose objects may be texts; documents of Elastic's module
(`azure.identity_protection`); a detection as an object or text of JSON inside another document; names in other cases.
What Azure Monitor has beside the detection is kept in `azure`. Every value stays: what has no place keeps its own name.
"""

from collections.abc import Mapping
from functools import cache
from typing import Final

from ingest.landing.azure_monitor import iso_time, with_envelope
from ingest.landing.own_names import Record, key, names_by_key, not_told, taken_out

_HOLDERS: Final = (
    "_source", "result", "azure.identity_protection", "azure.identity_protection.properties", "properties",
    "event.original", "event", "message", "_raw", "body", "log", "data",
)  # fmt: skip
_NESTED_NAMES: Final = names_by_key(
    ["city", "state", "countryOrRegion", "geoCoordinates", "altitude", "latitude", "longitude", "Key", "Value"]
)
_OTHER_NAMES: Final = {"operationname": "", "additionaldetails": "additionalInfo"}
_STAND_INS: Final = {"detectedDateTime": "time", "correlationId": "correlationId", "ipAddress": "callerIpAddress"}
_TIMES: Final = ("lastUpdatedDateTime", "detectedDateTime", "activityDateTime")


def plain(record: Record, own_names: Mapping[str, str]) -> Record | None:
    """Return a record in Graph's layout, None if it has no detection. The record given is taken apart.

    `own_names` are the contract's names by their lower case.
    """
    event, beside = taken_out(record, _is_detection, _HOLDERS, ("azure.identity_protection.",))
    if not _is_detection(event):
        return None
    made, others = with_envelope(event, beside, _names(tuple(own_names.values())), _NESTED_NAMES, _STAND_INS)
    if not isinstance(made.get("location", {}), dict):
        made.setdefault("azure", {}).setdefault("location", made.pop("location"))
    for name in _TIMES:
        if name in made:
            made[name] = iso_time(made[name])
    for name, value in not_told(others, made).items():
        made[f"collector.{name}" if name in made else name] = value
    return made


def _is_detection(event: Record) -> bool:
    """Whether it names a kind or state of risk, and is no envelope."""
    names = {key(name) for name in event}
    return not names.isdisjoint({"riskeventtype", "risktype", "riskstate"}) and "properties" not in names


@cache
def _names(own: tuple[str, ...]) -> dict[str, str]:
    return names_by_key(own) | _OTHER_NAMES
