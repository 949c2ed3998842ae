"""The layouts in which collectors write Entra sign-ins, turned into that of Microsoft Graph's signIn.

What is known: Azure Monitor's records (Event Hubs, storage accounts) whose `properties` are the sign-in; the columns of
Log Analytics and Sentinel (SigninLogs and its three sisters), whose objects may be texts; documents of Elastic's module
(`azure.signinlogs`); a sign-in as an object or text of JSON inside another document; names in other cases. What Azure
Monitor has beside the sign-in is kept in `azure`. Every value stays: what has no place keeps its own name.

Read from the documentation of Microsoft Graph (signIn, beta), Azure Monitor (tables SigninLogs,
AADNonInteractiveUserSignInLogs, AADServicePrincipalSignInLogs, AADManagedIdentitySignInLogs; Event Hubs) and Elastic
(integration azure, signinlogs: exported fields).
"""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Final

from ingest.landing.own_names import Record, key, names_by_key, not_told, read_json, renamed, taken_out

_HOLDERS: Final = (
    "_source", "result", "azure.signinlogs", "azure.signinlogs.properties", "properties", "event.original", "event",
    "message", "_raw", "body", "log", "data",
)  # fmt: skip
_AZURE: Final = {
    "TimeGenerated": "time", "time": "time", "@timestamp": "time", "TimeGenerated [UTC]": "time",
    "operationName": "operationName",
    "operationVersion": "operationVersion", "category": "category", "resultType": "resultType",
    "resultSignature": "resultSignature", "resultDescription": "resultDescription", "durationMs": "durationMs",
    "callerIpAddress": "callerIpAddress", "identity": "identity", "level": "level", "AADTenantId": "tenantId",
    "TenantId": "workspaceId", "Resource": "resource", "ResourceGroup": "resourceGroup",
    "ResourceProvider": "resourceProvider",
}  # fmt: skip
# Of a record of Azure Monitor these are the envelope's own; of a row of Log Analytics they are the sign-in's.
_OF_ENVELOPE: Final = {
    "tenantId": "tenantId", "resourceId": "resourceId", "correlationId": "correlationId", "location": "location",
}  # fmt: skip
_NESTED: Final = [
    "deviceId", "displayName", "operatingSystem", "browser", "browserId", "isCompliant", "isManaged", "trustType",
    "city", "state", "countryOrRegion", "geoCoordinates", "altitude", "latitude", "longitude", "errorCode",
    "failureReason", "additionalDetails", "authMethod", "authDetail", "authenticationMethod",
    "authenticationMethodDetail", "authenticationStepDateTime", "authenticationStepRequirement",
    "authenticationStepResultDetail", "succeeded", "id", "result", "enforcedGrantControls", "enforcedSessionControls",
    "conditionsSatisfied", "conditionsNotSatisfied", "includeRulesSatisfied", "excludeRulesSatisfied",
    "authenticationStrength", "sessionControlsNotSatisfied",
]  # fmt: skip
_OTHER_NAMES: Final = {
    "resourceidentity": "resourceId", "locationdetails": "location", "conditionalaccesspolicies":
    "appliedConditionalAccessPolicies", "riskeventtypesv2": "riskEventTypes_v2", "createddatetime[utc]":
    "createdDateTime", "createdat": "createdDateTime", "clientipaddress": "ipAddress",
}  # fmt: skip
# What stands for a field of the sign-in that is not there.
_STAND_INS: Final = (
    ("createdDateTime", "time"), ("ipAddress", "callerIpAddress"), ("correlationId", "correlationId"),
)  # fmt: skip
_AZURE_BY_KEY: Final = {key(name): own for name, own in _AZURE.items()}
_ENVELOPE_BY_KEY: Final = _AZURE_BY_KEY | {key(name): own for name, own in _OF_ENVELOPE.items()}
_AMERICAN: Final = "%m/%d/%Y, %I:%M:%S.%f %p"


def plain(record: Record, own_names: Mapping[str, str]) -> Record | None:
    """Return a record in Graph's layout, None if it has no sign-in. The record given is taken apart.

    `own_names` are the contract's names by their lower case.
    """
    event, beside = taken_out(record, _is_sign_in, _HOLDERS, ("azure.signinlogs.",))
    if not _is_sign_in(event):
        return None
    names = _names(tuple(own_names.values()))
    made: Record = {}
    azure: Record = {}
    is_row = event is not record or any(name in event for name in ("TimeGenerated", "TimeGenerated [UTC]"))
    place = event.get("Location")
    if isinstance(place, str) and ("LocationDetails" in event or not isinstance(read_json(place), dict)):
        azure["location"] = event.pop("Location")
    for name, value in event.items():
        own = names.get(key(name))
        if value is None:
            continue
        if own == "signInEventTypes" and isinstance(value, str) and value[:1] != "[":
            made[own] = [each.strip() for each in value.split(",")]
        elif own and own not in made and not (own == "azure" and not isinstance(value, dict)):
            made[own] = renamed(value, _NESTED_NAMES)
        elif is_row and (placed := _AZURE_BY_KEY.get(key(name))) and placed not in azure:
            azure[placed] = value
        else:
            made[name] = value
    others: Record = {}
    around = beside.pop("azure", None)  # Elastic keeps what is around the sign-in in two objects
    for name, value in [*beside.items(), *(around.items() if isinstance(around, dict) else ())]:
        placed = _ENVELOPE_BY_KEY.get(key(name))
        if value is not None and placed and placed not in azure and not isinstance(value, (dict, list)):
            azure[placed] = value
        else:
            others[name] = value
    if not isinstance(made.get("location", {}), dict):
        azure.setdefault("location", made.pop("location"))
    if azure:
        made["azure"] = made.get("azure", {}) | azure
    source = others.get("source")  # Elastic's address of the client
    if "ipAddress" not in made and isinstance(source, dict) and isinstance(source.get("ip"), str):
        made["ipAddress"] = source.pop("ip")
    for own, also in (
        ("createdDateTime", "time"),
        ("ipAddress", "callerIpAddress"),
        ("correlationId", "correlationId"),
    ):
        if own not in made and isinstance(azure.get(also), str):
            made[own] = azure[also]
    if isinstance(made.get("createdDateTime"), str):
        made["createdDateTime"] = _iso(made["createdDateTime"])
    for name, value in not_told(others, made).items():
        made[f"collector.{name}" if name in made else name] = value
    return made


def _is_sign_in(event: Record) -> bool:
    """Whether it names who or what signed in, beside when or as what."""
    names = {key(name) for name in event}
    who = {"userid", "userprincipalname", "serviceprincipalid", "appid", "userdisplayname", "signineventtypes"}
    return not names.isdisjoint(who) and "properties" not in names


@cache
def _names(own: tuple[str, ...]) -> dict[str, str]:
    return names_by_key(own) | _OTHER_NAMES


def _iso(text: str) -> str:
    """The time of a table that was exported from the portal (`3/2/2026, 8:15:00.123 AM`) as ISO 8601."""
    if "/" not in text[:3]:
        return text
    try:
        return f"{datetime.strptime(text, _AMERICAN).isoformat()}Z"
    except ValueError:
        return text


_NESTED_NAMES: Final = names_by_key(_NESTED)
