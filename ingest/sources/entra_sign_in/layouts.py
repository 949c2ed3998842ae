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
from functools import cache
from typing import Final

from ingest.landing.azure_monitor import iso_time, with_envelope
from ingest.landing.own_names import Record, key, names_by_key, not_told, read_json, taken_out

_HOLDERS: Final = (
    "_source", "result", "azure.signinlogs", "azure.signinlogs.properties", "properties", "event.original", "event",
    "message", "_raw", "body", "log", "data",
)  # fmt: skip
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
# What of Azure Monitor stands for a field of the sign-in that is not there.
_STAND_INS: Final = {
    "createdDateTime": "time", "ipAddress": "callerIpAddress", "correlationId": "correlationId",
}  # fmt: skip


def plain(record: Record, own_names: Mapping[str, str]) -> Record | None:
    """Return a record in Graph's layout, None if it has no sign-in. The record given is taken apart.

    `own_names` are the contract's names by their lower case.
    """
    event, beside = taken_out(record, _is_sign_in, _HOLDERS, ("azure.signinlogs.",))
    if not _is_sign_in(event):
        return None
    names = _names(tuple(own_names.values()))
    place, kinds = event.get("Location"), event.get("signInEventTypes")
    if isinstance(place, str) and ("LocationDetails" in event or not isinstance(read_json(place), dict)):
        beside["location"] = event.pop("Location")  # a row's country, beside LocationDetails
    if isinstance(kinds, str) and kinds[:1] != "[":
        event["signInEventTypes"] = [each.strip() for each in kinds.split(",")]
    made, others = with_envelope(event, beside, names, _NESTED_NAMES, _STAND_INS)
    if not isinstance(made.get("location", {}), dict):
        made.setdefault("azure", {}).setdefault("location", made.pop("location"))
    source = others.get("source")  # Elastic's address of the client
    if "ipAddress" not in made and isinstance(source, dict) and isinstance(source.get("ip"), str):
        made["ipAddress"] = source.pop("ip")
    if "createdDateTime" in made:
        made["createdDateTime"] = iso_time(made["createdDateTime"])
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


_NESTED_NAMES: Final = names_by_key(_NESTED)
