"""The layouts in which collectors write audit records of Microsoft 365, turned into that of its own API.

What is known: the record as a text or object inside another document (`AuditData` of Purview's search and of Graph's
auditLogRecord; Elastic's `o365.audit`, Wazuh's `office365`, Splunk's search results); the columns of Sentinel's table
OfficeActivity, whose lists are texts; names in other cases. Every value stays: what has no place keeps its own name.

Read from the documentation of the Management Activity API, Microsoft Graph (auditLogRecord), Azure Monitor (table
OfficeActivity), Elastic (integration o365: exported fields) and Wazuh (Office 365 module).
"""

from collections.abc import Mapping
from functools import cache
from typing import Final

from ingest.landing.own_names import Record, key, names_by_key, not_told, renamed, taken_out

_HOLDERS: Final = (
    "_source", "result", "AuditData", "auditData", "auditdata", "o365.audit", "o365audit", "office_365", "office365",
    "data.office365", "event.original", "event", "message", "_raw", "body", "log", "data", "properties",
)  # fmt: skip
_OTHER_NAMES: Final = {
    "officeid": "Id", "timegenerated": "CreationTime", "officeworkload": "Workload", "officeobjectid": "ObjectId",
    "service": "Workload", "createddatetime": "CreationTime", "auditlogrecordtype": "RecordType",
    "creationdate": "CreationTime", "operations": "Operation", "userids": "UserId", "identity": "Id",
    "aadtarget": "Target", "sourcerecordid": "Id", "timegenerated[utc]": "CreationTime",
}  # fmt: skip
# Names by which other documents mean something else than a record's own names.
_BESIDE: Final = {
    "id": "Id",
    "operation": "Operation",
    "recordtype": "RecordType",
    "clientip": "ClientIP",
    "objectid": "ObjectId",
    "userprincipalname": "UserId",
    "usertype": "UserType",
    "organizationid": "OrganizationId",
} | _OTHER_NAMES
_NESTED: Final = [
    "ID", "Type", "Name", "Value", "OldValue", "NewValue", "DisplayName", "UPN", "Role", "AADSessionId", "APIId",
    "ClientAppId", "ClientAppName", "CorrelationId", "UniqueTokenId", "IssuedAtTime", "UserObjectId", "AuthTime",
    "Key",
]  # fmt: skip
_NESTED_NAMES: Final = names_by_key(_NESTED)
_LISTS: Final = ("Parameters", "ModifiedProperties", "ExtendedProperties", "DeviceProperties", "OperationProperties")


def plain(record: Record, own_names: Mapping[str, str]) -> Record | None:
    """Return a record in the API's layout, None if it has no audit record. The record given is taken apart.

    `own_names` are the contract's names by their lower case.
    """
    event, beside = taken_out(record, _is_audit_record, _HOLDERS, ("o365.audit.", "data.office365.", "office365."))
    if not _is_audit_record(event):
        return None
    names = _names(tuple(own_names.values()))
    made: Record = {}
    for name, value in event.items():
        own = names.get(key(name), name)
        if value is not None:
            made[own if own not in made else name] = renamed(value, _NESTED_NAMES)
    for name in _LISTS:  # Elastic has an object of names and values
        held = made.get(name)
        if isinstance(held, dict) and not held.keys() & {"Name", "Value"}:
            made[name] = [
                {"Name": each, **value} if name == "ModifiedProperties" and isinstance(value, dict)
                else {"Name": each, "Value": value}
                for each, value in held.items()
            ]  # fmt: skip
    for name, value in list(beside.items()):
        meant = _BESIDE.get(key(name))
        if meant and meant not in made and isinstance(value, (str, int)):
            made[meant] = beside.pop(name)
    for name, value in not_told(beside, made).items():
        made[f"collector.{name}" if name in made else name] = value
    return made


def _is_audit_record(event: Record) -> bool:
    """Whether it names what was done, and is not a summary around the record itself."""
    names = {key(name) for name in event}
    return "operation" in names and not names & {"auditdata"}


@cache
def _names(own: tuple[str, ...]) -> dict[str, str]:
    return _OTHER_NAMES | names_by_key(own)
