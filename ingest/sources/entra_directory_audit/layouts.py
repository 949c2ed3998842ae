"""The layouts in which collectors write Entra directory audits, turned into that of Microsoft Graph's directoryAudit.

What is known: Azure Monitor's records (Event Hubs, storage accounts) whose `properties` are the audit; the columns of
Log Analytics and Sentinel (AuditLogs), whose objects may be texts; documents of Elastic's module (`azure.auditlogs`);
an audit as an object or text of JSON inside another document; names in other cases. What Azure Monitor has beside the
audit is kept in `azure`. Every value stays: what has no place keeps its own name.

Read from the documentation of Microsoft Graph (directoryAudit), Azure Monitor (table AuditLogs; Event Hubs) and Elastic
(integration azure, auditlogs: exported fields).
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from ingest.landing.azure_monitor import iso_time, with_envelope
from ingest.landing.own_names import Record, key, names_by_key, not_told, renamed, taken_out

_HOLDERS: Final = (
    "_source", "result", "azure.auditlogs", "azure.auditlogs.properties", "properties", "event.original", "event",
    "message", "_raw", "body", "log", "data",
)  # fmt: skip
_NESTED: Final = [
    "id", "displayName", "userPrincipalName", "ipAddress", "userType", "homeTenantId", "homeTenantName", "roles",
    "user", "app", "agent", "appId", "servicePrincipalId", "servicePrincipalName", "type", "groupType",
    "modifiedProperties", "administrativeUnits", "oldValue", "newValue", "key", "value",
]  # fmt: skip
_NESTED_NAMES: Final = names_by_key(_NESTED)
_OTHER_NAMES: Final = {
    "aadoperationtype": "operationType", "activity": "activityDisplayName", "resultdescription": "resultReason",
    "activitydatetime[utc]": "activityDateTime", "operationname": "activityDisplayName", "additionalinfo":
    "additionalDetails",
}  # fmt: skip
# What of Azure Monitor stands for a field of the audit that is not there.
_STAND_INS: Final = {
    "activityDateTime": "time", "activityDisplayName": "operationName", "correlationId": "correlationId",
    "result": "resultSignature", "category": "category",
}  # fmt: skip


def plain(record: Record, own_names: Mapping[str, str]) -> Record | None:
    """Return a record in Graph's layout, None if it has no audit. The record given is taken apart.

    `own_names` are the contract's names by their lower case.
    """
    event, beside = taken_out(record, _is_audit, _HOLDERS, ("azure.auditlogs.",))
    if not _is_audit(event):
        return None
    names = _names(tuple(own_names.values()))
    if "ActivityDisplayName" in event or "activityDisplayName" in event:
        names = names | {"operationname": ""}  # a row has both
    made, others = with_envelope(event, beside, names, _NESTED_NAMES, _STAND_INS)
    if isinstance(targets := made.get("targetResources"), dict):  # Elastic has an object of numbers
        made["targetResources"] = [renamed(each, _NESTED_NAMES) for each in _listed(targets)]
    for target in made.get("targetResources", ()):
        if isinstance(target, dict) and isinstance(changed := target.get("modifiedProperties"), dict):
            target["modifiedProperties"] = _listed(changed)
    if "activityDateTime" in made:
        made["activityDateTime"] = iso_time(made["activityDateTime"])
    for name, value in not_told(others, made).items():
        made[f"collector.{name}" if name in made else name] = value
    return made


def _listed(values: Record) -> list[Any]:
    """What an object of numbers lists (`{"0": …, "1": …}`); any other is a list of itself."""
    return list(values.values()) if values and all(name.isdigit() for name in values) else [values]


def _is_audit(event: Record) -> bool:
    """Whether it says what was done, or who did it, and is no envelope."""
    names = {key(name) for name in event}
    told = {"activitydisplayname", "initiatedby", "targetresources"}
    return not names.isdisjoint(told) and "properties" not in names


@cache
def _names(own: tuple[str, ...]) -> dict[str, str]:
    return _OTHER_NAMES | names_by_key(own)
