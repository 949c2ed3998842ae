"""The layouts in which collectors write CloudTrail events, turned into CloudTrail's own.

`plain` takes one record. What is known: the event as a text inside another document (`_TEXTS`); names in small letters
and maps as text, as Athena and Glue have them; names joined by dots or underscores instead of objects; the columns of
Sentinel's table AWSCloudTrail (`_SENTINEL`); and what Elastic's module makes of an event (`_ELASTIC`). Every value
stays: what has no place keeps its own name.

Read from the documentation of CloudTrail (LookupEvents; "Create a table for CloudTrail logs in Athena"), Filebeat
(module aws, fileset cloudtrail: exported fields; input aws-s3), fluent-bit, Splunk (search results) and Azure Monitor
(table AWSCloudTrail).
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

Record = dict[str, Any]

# Where a whole event stands as a text, in the order in which it is believed.
_TEXTS: Final = ("CloudTrailEvent", "event.original", "message", "_raw", "log", "Message", "body")
_HOLDERS: Final = ("_source", "result", "detail", "record", "eventData")
_MOST_HOLDERS: Final = 4
_JSON: Final = msgspec.json.Decoder()
# Below these, names are those of CloudTrail; elsewhere they are a service's own and stay as they are.
_OWN: Final = ("userIdentity", "tlsDetails", "addendum", "resources")
_MAPS: Final = (
    "requestParameters", "responseElements", "additionalEventData", "serviceEventDetails", "insightDetails",
    "edgeDeviceDetails", "eventContext",
)  # fmt: skip
_TIMES: Final = ("eventTime", "@timestamp")
_NESTED: Final = [
    "type", "userName", "principalId", "arn", "accountId", "accessKeyId", "credentialId", "identityProvider",
    "invokedBy", "sessionContext", "sessionIssuer", "attributes", "creationDate", "mfaAuthenticated",
    "webIdFederationData", "federatedProvider", "sourceIdentity", "assumedRoot", "ec2RoleDelivery", "onBehalfOf",
    "userId", "identityStoreArn", "inScopeOf", "sourceArn", "sourceAccount", "issuerType", "credentialsIssuedTo",
    "tlsVersion", "cipherSuite", "clientProvidedHostHeader", "reason", "updatedFields", "originalRequestID",
    "originalEventID",
]  # fmt: skip
_JOINED: Final = tuple(f"{name}{mark}" for name in _OWN for mark in "._")
_NAMES: Final = {name.lower(): name for name in _NESTED}
_IN_LISTS: Final = _NAMES | {"arn": "ARN", "arnprefix": "ARNPrefix"}
_KEPT: Final = ("request_parameters", "response_elements", "additional_eventdata")
_ISSUER: Final = "userIdentity.sessionContext.sessionIssuer"
_SENTINEL: Final = {
    "AwsEventId": "eventID",
    "TimeGenerated": "eventTime",
    "EventTypeName": "eventType",
    "AwsRequestId": "requestID",
    "AwsRequestId_": "requestID",
    "SourceIpAddress": "sourceIPAddress",
    "Category": "eventCategory",
    "APIVersion": "apiVersion",
    "EC2RoleDelivery": "userIdentity.sessionContext.ec2RoleDelivery",
    "UserIdentityType": "userIdentity.type",
    "UserIdentityPrincipalid": "userIdentity.principalId",
    "UserIdentityArn": "userIdentity.arn",
    "UserIdentityAccountId": "userIdentity.accountId",
    "UserIdentityInvokedBy": "userIdentity.invokedBy",
    "UserIdentityAccessKeyId": "userIdentity.accessKeyId",
    "UserIdentityUserName": "userIdentity.userName",
    "SessionMfaAuthenticated": "userIdentity.sessionContext.attributes.mfaAuthenticated",
    "SessionCreationDate": "userIdentity.sessionContext.attributes.creationDate",
    "SessionIssuerType": f"{_ISSUER}.type",
    "SessionIssuerPrincipalId": f"{_ISSUER}.principalId",
    "SessionIssuerArn": f"{_ISSUER}.arn",
    "SessionIssuerAccountId": f"{_ISSUER}.accountId",
    "SessionIssuerUserName": f"{_ISSUER}.userName",
    "TlsVersion": "tlsDetails.tlsVersion",
    "CipherSuite": "tlsDetails.cipherSuite",
    "ClientProvidedHostHeader": "tlsDetails.clientProvidedHostHeader",
}
# By path in Elastic's document, or below its `aws.cloudtrail`.
_ELASTIC: Final = {
    "event.id": "eventID",
    "event.action": "eventName",
    "event.provider": "eventSource",
    "cloud.region": "awsRegion",
    "cloud.account.id": "recipientAccountId",
    "source.address": "sourceIPAddress",
    "user_agent.original": "userAgent",
    "user.id": "userIdentity.principalId",
    "tls.client.server_name": "tlsDetails.clientProvidedHostHeader",
    "tls.cipher": "tlsDetails.cipherSuite",
    "user_identity.access_key_id": "userIdentity.accessKeyId",
    "user_identity.session_context.mfa_authenticated": "userIdentity.sessionContext.attributes.mfaAuthenticated",
    "user_identity.session_context.creation_date": "userIdentity.sessionContext.attributes.creationDate",
    "additional_eventdata": "additionalEventData",
}


def plain(record: Record, own_names: Mapping[str, str]) -> Record | None:
    """Return a record in CloudTrail's own layout, objects and lists instead of texts of them; None if it has no event.

    `own_names` are the contract's names by their lower case. The record given is taken apart.
    """
    event, beside = _unwrapped(record)
    made = event if _is_own(event) else _placed(event, own_names)
    if not _is_own(made):
        return None
    texts = {name: made[name] for name in (*_OWN, *_MAPS) if isinstance(made.get(name), str)}
    held = {name: _read(text) for name, text in texts.items()}
    if made is record and held == texts:
        return None  # in CloudTrail's own layout; StrictSql says what else is of another type
    made |= held
    told = set(_leaves(made))
    for name, value in beside.items():  # what an envelope says again needs no second place
        if not set(_leaves(value)) <= told:
            made[f"collector.{name}" if name in _TIMES else name] = value
    return made


def _is_own(event: Record) -> bool:
    if "eventID" not in event or not any(name in event for name in _TIMES):
        return False
    return not any(name.startswith(_JOINED) for name in event)


def _unwrapped(record: Record) -> tuple[Record, Record]:
    """The event inside other documents, and what stood beside it."""
    beside: Record = {}
    for _ in range(_MOST_HOLDERS):
        if _is_own(record):
            break
        found = _inside(record)
        if found is None:
            break
        record, around = found
        beside |= {name: value for name, value in around.items() if name not in beside}
    return record, beside


def _inside(record: Record) -> tuple[Record, Record] | None:
    """The event in one document, and the document without it."""
    for path in (*_TEXTS, *_HOLDERS):
        holder, name = _holder(record, path)
        event = _read(holder.get(name)) if path in _TEXTS else holder.get(name)
        if isinstance(event, dict):
            del holder[name]
            return event, record
    return None


def _holder(record: Record, path: str) -> tuple[Record, str]:
    """The object that holds what a path names, and the name there; a name with dots may also stand as it is."""
    *steps, name = (path,) if path in record else path.split(".")
    for step in steps:
        inner = record.get(step)
        record = inner if isinstance(inner, dict) else {}
    return record, name


def _placed(event: Record, own_names: Mapping[str, str]) -> Record:
    """The values of an event under CloudTrail's names."""
    made: Record = {}
    is_elastic = isinstance(event.get("aws"), dict) or any(name.startswith("aws.cloudtrail.") for name in event)
    for name, value in _elastic(event) if is_elastic else event.items():
        if value is not None:
            _put(made, _SENTINEL.get(name) or _path(name, own_names), value)
    for name in _OWN:
        if name in made:
            made[name] = _renamed(_read(made[name]), _IN_LISTS if name == "resources" else _NAMES)
    return made


def _path(name: str, own_names: Mapping[str, str]) -> str:
    """The path of a value in CloudTrail's layout by its name: another case, or names joined by dots or underscores."""
    if own := own_names.get(name.lower()) or own_names.get(name.replace("_", "").lower()):
        return own
    for mark in (".", "_"):
        first, *rest = name.split(mark)
        own = own_names.get(first.replace("_", "").lower())
        if rest and own in _OWN:
            return ".".join([own, *(_NAMES.get(each.replace("_", "").lower(), each) for each in rest)])
    return name


def _elastic(event: Record) -> Iterator[tuple[str, Any]]:
    """Yield the values of a document of Elastic's module, by their names in CloudTrail's layout where they have one."""
    flat = {path.removeprefix("aws.cloudtrail."): value for path, value in _flat(event)}
    for path in sorted(flat, key=lambda path: not path.startswith("flattened.")):  # request_parameters are a text too
        short = path.removeprefix("flattened.")
        yield _ELASTIC.get(short, short), flat[path]


def _flat(value: Record, above: str = "") -> Iterator[tuple[str, Any]]:
    for name, each in value.items():
        path = f"{above}.{name}" if above else name
        if isinstance(each, dict) and name not in _KEPT:
            yield from _flat(each, path)
        else:
            yield path, each


def _put(made: Record, path: str, value: Any) -> None:
    """Put a value at a path, unless another one is there."""
    *steps, name = path.split(".") if path.split(".")[0] in _OWN else (path,)
    for step in steps:
        made = made.setdefault(step, {})
        if not isinstance(made, dict):
            return
    made.setdefault(name, value)


def _read(value: Any) -> Any:
    """What a text of JSON holds; other values as they are."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return _JSON.decode(value)
        except (msgspec.MsgspecError, RecursionError, ValueError):
            return value
    return value


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """The same with CloudTrail's names instead of those in small letters or with underscores."""
    if isinstance(value, list):
        return [_renamed(each, names) for each in value]
    if not isinstance(value, dict):
        return value
    return {names.get(name.replace("_", "").lower(), name): _renamed(each, names) for name, each in value.items()}


def _leaves(value: Any) -> Iterator[str]:
    """The values in a value, as texts."""
    if isinstance(value, dict):
        for each in value.values():
            yield from _leaves(each)
    elif isinstance(value, list):
        for each in value:
            yield from _leaves(each)
    elif value is not None and value != "":
        yield str(value)
