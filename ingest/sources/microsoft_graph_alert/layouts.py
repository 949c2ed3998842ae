"""The layouts in which collectors write Microsoft's alerts, turned into that of Microsoft Graph's alerts_v2.

What is known: Defender XDR's streams (`AdvancedHunting-AlertInfo`, `AdvancedHunting-AlertEvidence`), whose `properties`
are a row of the table, and the columns of these tables; Elastic's module (`m365_defender.alert`); an alert as an object
or text of JSON inside another document; names in other cases. A row of AlertEvidence becomes one evidence of its alert,
with all of its columns. Every value stays: what has no place keeps its own name.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from ingest.landing.azure_monitor import iso_time, with_envelope
from ingest.landing.own_names import Record, key, names_by_key, not_told, read_json, taken_out

_HOLDERS: Final = (
    "_source", "result", "m365_defender.alert", "m365_defender.incident.alert", "properties", "event.original",
    "event", "message", "_raw", "body", "log", "data",
)  # fmt: skip
_OTHER_NAMES: Final = {
    "operationname": "", "alertid": "id", "timestamp": "createdDateTime", "attacktechniques": "mitreTechniques",
    "categories": "category", "lastupdatetime": "lastUpdateDateTime", "timegenerated": "lastUpdateDateTime",
}  # fmt: skip
_NESTED_NAMES: Final = names_by_key([
    "createdDateTime", "verdict", "remediationStatus", "roles", "tags", "userAccount", "accountName", "domainName",
    "userSid", "azureAdUserId", "userPrincipalName", "displayName", "ipAddress", "countryLetterCode", "fileDetails",
    "fileName", "filePath", "fileSize", "sha1", "sha256", "md5", "processId", "parentProcessId", "processCommandLine",
    "imageFile", "deviceDnsName", "hostName", "mdeDeviceId", "azureAdDeviceId", "osPlatform", "url", "subject",
    "primaryAddress", "networkMessageId", "p2Sender", "senderIp",
])  # fmt: skip
_STAND_INS: Final = {"lastUpdateDateTime": "time", "createdDateTime": "time", "tenantId": "tenantId"}
_TIMES: Final = ("lastUpdateDateTime", "createdDateTime", "firstActivityDateTime", "lastActivityDateTime")


def plain(record: Record, own_names: Mapping[str, str]) -> Record | None:
    """Return a record in Graph's layout, None if it has no alert. The record given is taken apart.

    `own_names` are the contract's names by their lower case.
    """
    event, beside = taken_out(record, _is_alert, _HOLDERS, ("m365_defender.alert.",))
    if not _is_alert(event):
        return None
    made, others = with_envelope(event, beside, _names(tuple(own_names.values())), _NESTED_NAMES, _STAND_INS)
    if isinstance(categories := read_json(made.get("category")), list):
        made["category"] = ", ".join(map(str, categories))
    if "EntityType" in made:
        row = {name: made.pop(name) for name in list(made) if name not in own_names.values()}
        made["evidence"] = [_evidence(row)]
    for name in _TIMES:
        if name in made:
            made[name] = iso_time(made[name])
    made.setdefault("lastUpdateDateTime", made.get("createdDateTime"))
    if made["lastUpdateDateTime"] is None:
        del made["lastUpdateDateTime"]
    for name, value in not_told(others, made).items():
        made[f"collector.{name}" if name in made else name] = value
    return made


def _evidence(row: Record) -> Record:
    """A row of AlertEvidence as evidence of an alert: what it is about in Graph's names, and all of its columns."""
    about: dict[str, Any] = {
        "userAccount": {
            "accountName": row.get("AccountName"), "domainName": row.get("AccountDomain"),
            "userSid": row.get("AccountSid"), "azureAdUserId": row.get("AccountObjectId"),
            "userPrincipalName": row.get("AccountUpn"),
        },
        "ipAddress": row.get("RemoteIP") or row.get("LocalIP"),
        "mdeDeviceId": row.get("DeviceId"),
        "deviceDnsName": row.get("DeviceName"),
        "fileDetails": {
            "fileName": row.get("FileName"), "filePath": row.get("FolderPath"), "sha1": row.get("SHA1"),
            "sha256": row.get("SHA256"),
        },
        "processCommandLine": row.get("ProcessCommandLine"),
    }  # fmt: skip
    told = {name: _known(value) for name, value in about.items()}
    return {"@odata.type": row.get("EntityType"), **{name: value for name, value in told.items() if value}, **row}


def _known(value: Any) -> Any:
    return {name: each for name, each in value.items() if each} if isinstance(value, dict) else value


def _is_alert(event: Record) -> bool:
    """Whether it has a title or an id of an alert, and is no envelope."""
    names = {key(name) for name in event}
    return not names.isdisjoint({"title", "alertid", "servicesource"}) and "properties" not in names


@cache
def _names(own: tuple[str, ...]) -> dict[str, str]:
    return names_by_key(own) | _OTHER_NAMES
