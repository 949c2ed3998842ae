"""Records that Azure Monitor delivers, for the `layouts.py` of their sources.

A record of Event Hubs or a storage account has the event in `properties`, and values of its own around it; a row of Log
Analytics has both side by side. What is Azure's own is kept in the object `azure`. Names: Azure Monitor's resource log
schema (learn.microsoft.com/azure/azure-monitor/essentials/resource-logs-schema) and the tables' reference.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from ingest.landing.own_names import Record, key, renamed

_NAMES: Final = {
    "TimeGenerated": "time", "time": "time", "@timestamp": "time", "TimeGenerated [UTC]": "time",
    "operationName": "operationName", "operationVersion": "operationVersion", "category": "category",
    "resultType": "resultType", "resultSignature": "resultSignature", "resultDescription": "resultDescription",
    "durationMs": "durationMs", "callerIpAddress": "callerIpAddress", "identity": "identity", "level": "level",
    "AADTenantId": "tenantId", "TenantId": "workspaceId", "Resource": "resource", "ResourceGroup": "resourceGroup",
    "ResourceProvider": "resourceProvider", "location": "location",
}  # fmt: skip
# Around an event these are Azure's own; in a row they are the event's.
_OF_ENVELOPE: Final = {"tenantId": "tenantId", "resourceId": "resourceId", "correlationId": "correlationId"}
_BY_KEY: Final = {key(name): own for name, own in _NAMES.items()}
_AROUND: Final = _BY_KEY | {key(name): own for name, own in _OF_ENVELOPE.items()}
_AMERICAN: Final = "%m/%d/%Y, %I:%M:%S.%f %p"


def with_envelope(
    event: Record, beside: Record, names: Mapping[str, str], nested: Mapping[str, str], stand_ins: Mapping[str, str]
) -> tuple[Record, Record]:
    """Return an event with its contract's `names` (by `key`) and the object `azure`, and what else stood beside it.

    `nested` are names inside objects. `stand_ins` are, by a field of the event, what of Azure stands for it where it is
    not there.
    """
    made: Record = {}
    azure: Record = {}
    is_row = bool(beside) or "TimeGenerated" in event or "TimeGenerated [UTC]" in event
    for name, value in event.items():
        own = names.get(key(name))
        if value is None:
            continue
        if own and own not in made and not (own == "azure" and not isinstance(value, dict)):
            made[own] = renamed(value, nested)
        elif is_row and (placed := _BY_KEY.get(key(name))) and placed not in azure:
            azure[placed] = value
        else:
            made[name] = value
    others: Record = {}
    around = beside.pop("azure", None)  # Elastic keeps what is around the event in two objects
    for name, value in [*beside.items(), *(around.items() if isinstance(around, dict) else ())]:
        placed = _AROUND.get(key(name))
        if value is not None and placed and placed not in azure and not isinstance(value, (dict, list)):
            azure[placed] = value
        elif value is not None and (own := names.get(key(name))) and own not in made and isinstance(value, str):
            made[own] = value
        else:
            others[name] = value
    if azure:
        made["azure"] = made.get("azure", {}) | azure
    for own, also in stand_ins.items():
        if own not in made and isinstance(azure.get(also), str):
            made[own] = azure[also]
    return made, others


def iso_time(value: Any) -> Any:
    """Return the time of a table that was exported from the portal (`3/2/2026, 8:15:00.123 AM`) as ISO 8601."""
    if not isinstance(value, str) or "/" not in value[:3]:
        return value
    try:
        return f"{datetime.strptime(value, _AMERICAN).isoformat()}Z"
    except ValueError:
        return value
