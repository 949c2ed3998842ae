"""Reading ODCS v3 files into `Contract`, with every check that needs the whole file.

ODCS places used: `name` (the source), `version`, `description`, `team` (owner), `support` (alert channel),
`schema` with one object (fields, required, classification, primaryKey), `slaProperties` (latency: value = 99th
percentile, valueExt = maximum; frequency; retention; the rest are service levels). What ODCS has no place for
is in `customProperties`: see `properties`. Standard: https://bitol-io.github.io/open-data-contract-standard/
"""

import hashlib
import json
import re
from contextlib import suppress
from datetime import datetime, timedelta
from functools import cache, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
import yaml
from open_data_contract_standard.model import OpenDataContractStandard, SchemaObject, ServiceLevelAgreementProperty
from pydantic import ValidationError

from ingest.contracts.fields import (
    ContractError,
    Place,
    choice,
    contract_properties,
    duration,
    duration_text,
    one_of,
    read_custom,
    read_event_key,
    read_event_times,
    read_fallback,
    read_fields,
    texts,
)
from ingest.contracts.model import Contract, Field, KeyLayout, ServiceLevel, read_template, split_path
from lake.base.errors import warn_once

# libyaml reads three contracts in 0.03 s, the Python loader in 0.28 s; some 20,000 levels end the process.
_PLAIN_BYTES, _PLAIN_SIGNS, _NESTING = 200_000, 1000, (b"[", b"{", b"- ", b"? ")
_SPANS: Final = ("latency", "frequency", "retention")
_TRANSPORTS: Final = ("object_store", "http_cursor")
_WRAPPERS: Final = ("cloudwatch_logs", "eventbridge", "event_hook", "splunk_hec", "message")
_NOTIFICATIONS: Final = ("s3_event", "crowdstrike_fdr")
SOURCES: Final = Path(__file__).parents[1] / "sources"


def load_contracts(root: Path | None = None) -> dict[str, Contract]:
    """All contracts `<root>/<source>/contract.yaml` by source, sorted; root defaults to the sources of this package.

    A contract that cannot be used stops no other: it is left out, and a warning says why, once in a process.
    """
    contracts, problems = read_contracts(root)
    for source, problem in problems.items():
        warn_once(f"{problem}; source {source} is left out until that is corrected")
    return contracts


def read_contracts(root: Path | None = None) -> tuple[dict[str, Contract], dict[str, ContractError]]:
    """The contracts by source, sorted, and by folder what is wrong with those that cannot be used."""
    contracts: dict[str, Contract] = {}
    problems: dict[str, ContractError] = {}
    for path in sorted((root or SOURCES).glob("*/contract.yaml")):
        folder = path.parent.name
        try:
            contracts[folder] = contract_of(folder, root)
        except ContractError as problem:
            problems[folder] = problem
    return contracts, problems


def contract_of(source: str, root: Path | None = None) -> Contract:
    """The contract of one source, without a look at the others. Raises ContractError, also when there is none."""
    path = (root or SOURCES) / source / "contract.yaml"
    contract = load_contract(path)
    if contract.source != source:
        raise Place(path, "name").error(f"found {contract.source!r}, expected the folder's name {source!r}")
    return contract


def source_names(root: Path | None = None) -> list[str]:
    """The names of the sources that have a contract, sound or not."""
    return sorted(path.parent.name for path in (root or SOURCES).glob("*/contract.yaml"))


def load_contract(path: Path | str) -> Contract:
    """One contract. Raises ContractError, on one line, naming file and field."""
    file = Path(path)
    try:
        text = file.read_bytes()
    except OSError as error:
        raise Place(file, "contract").error(f"cannot be read: {error.strerror}") from None
    try:
        return _contract(file, text)
    except ContractError:
        raise
    except Exception as error:  # a shape that nobody has thought of stops its own source alone
        raise Place(file, "contract").error(f"cannot be used: {type(error).__name__}: {error}") from error


@lru_cache(maxsize=64)  # checking eight files takes 0.07 s, which commands and sensors would spend again and again
def _contract(file: Path, text: bytes) -> Contract:
    document, odcs = _read(file, text)
    top = Place(file, "contract")
    table = _table(odcs, file)
    custom = read_custom(odcs.customProperties, contract_properties, top.at("customProperties"))
    fields = read_fields(table.properties, None, Place(file, "schema"))
    fallback = read_fallback(custom, top.at("eventKeyFallback"))
    contract = Contract(
        source=_text(odcs.name, Place(file, "name")),
        version=_text(odcs.version, Place(file, "version")),
        title=table.businessName or _text(odcs.name, Place(file, "name")),
        description=_line(odcs.description.purpose if odcs.description else None),
        owner=_owner(odcs, Place(file, "team")),
        alert_channel=_alert_channel(odcs, Place(file, "support")),
        fields=fields,
        event_key=read_event_key(table.properties or [], fields, fallback, file),
        event_key_fallback=fallback,
        event_times=read_event_times(custom, fields, top.at("eventTime")),
        **_service_levels(odcs.slaProperties, top.at("slaProperties")),
        **read_delivery(custom, top.at("customProperties")),
        volatile=_volatile(custom, fields, top.at("volatile")),
        fingerprint=hashlib.sha256(text).hexdigest(),
        vendor=custom.get("vendor") or _text(odcs.name, Place(file, "name")).split("_")[0],
        limitations=_line(odcs.description.limitations if odcs.description else None),
        open_record=bool(custom.get("openRecord", False)),
        layouts=bool(custom.get("layouts", False)),
        stall_above=_share(custom, top.at("stallAbove")),
        **_accounts(custom, fields, top),
        **_optional(custom, fields, top),
    )
    _check_standard(document, file)
    return contract


def _accounts(custom: dict[str, Any], fields: tuple[Field, ...], top: Place) -> dict[str, Any]:
    """What the contract says of values that no attribute has as they are."""
    coded = {str(path): texts(each, "coded", top.at(str(path))) for path, each in custom.get("coded", {}).items()}
    dropped = {str(path): str(reason) for path, reason in custom.get("dropped", {}).items()}
    declared = {each.path: each for field in fields for each in field.walk()}
    kept = texts(custom.get("kept"), "kept", top)
    for path in (*coded, *dropped, *kept):
        holders = (".".join(split_path(path)[:length]) for length in range(len(split_path(path)), 0, -1))
        holder = next((declared[each] for each in (path, *holders) if each in declared), None)
        if holder is None or (holder.path != path and holder.type not in ("map", "any")):
            place = "coded" if path in coded else "dropped" if path in dropped else "kept"
            raise top.at(place).error(f"{path!r} is not a declared field")
    told = texts(custom.get("placeholders"), "placeholders", top)
    return {"coded": coded, "dropped": dropped, "kept": kept, "placeholders": told}


def _optional(custom: dict[str, Any], fields: tuple[Field, ...], top: Place) -> dict[str, Any]:
    """The values of `Contract` that only some sources have."""
    if not custom.keys() & {"format", "coverage", "completeBatch", "api"}:
        return {}
    from ingest.contracts.optional import read_optional

    return read_optional(custom, fields, top)


def _read(file: Path, text: bytes) -> tuple[dict[str, Any], OpenDataContractStandard]:
    place = Place(file, "contract")
    try:
        document = _document(text)
    except ValueError as error:
        raise place.error(str(error)) from None
    if document is None:
        raise place.error("is empty: expected an ODCS v3 contract")
    if not isinstance(document, dict):
        raise place.error(f"not ODCS: expected `key: value` lines at the top, found a {type(document).__name__}")
    try:
        odcs = OpenDataContractStandard(**document)
    except (ValidationError, TypeError) as error:
        raise _not_odcs(file, error) from None
    if odcs.kind != "DataContract" or not str(odcs.apiVersion).startswith("v3."):
        found = f"kind {odcs.kind!r} and apiVersion {odcs.apiVersion!r}"
        raise place.error(f"not ODCS v3: expected kind DataContract and apiVersion v3.x, found {found}")
    return document, odcs


class _Plain(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Reads a text that has no key twice; raises ValueError at any other."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Return a mapping."""
        if len({key.value for key, _ in node.value if isinstance(key.value, str)}) < len(node.value):
            raise ValueError
        return super().construct_mapping(node, deep)  # type: ignore[no-any-return]


def _document(text: bytes) -> Any:
    """Return what a contract says. Raises ValueError, in one sentence.

    A text that is not plain is left to `lake.base.strict_yaml`, which takes as long again and says what is wrong.
    """
    if len(text) < _PLAIN_BYTES and sum(map(text.count, _NESTING)) < _PLAIN_SIGNS:
        with suppress(yaml.YAMLError, ValueError):
            return yaml.load(text, Loader=_Plain)
    from lake.base import strict_yaml

    return strict_yaml.load(text)


def _not_odcs(file: Path, error: ValidationError | TypeError) -> ContractError:
    if isinstance(error, TypeError):
        return Place(file, "contract").error(f"not ODCS: {error}")
    first = error.errors()[0]
    where = ".".join(str(step) for step in first["loc"]) or "contract"
    return Place(file, where).error(f"not ODCS: {first['msg']}")


def _table(odcs: OpenDataContractStandard, file: Path) -> SchemaObject:
    tables = odcs.schema_ or []
    if len(tables) != 1 or not tables[0].properties:
        raise Place(file, "schema").error(f"expected one object with properties, found {len(tables)} object(s)")
    return tables[0]


def _text(value: str | None, place: Place) -> str:
    if not value:
        raise place.error("missing")
    return value


def _line(text: str | None) -> str:
    return " ".join((text or "").split())


def _owner(odcs: OpenDataContractStandard, place: Place) -> str:
    team = odcs.team
    members = (team if isinstance(team, list) else team.members if team else None) or []
    for member in members:
        if member.role == "owner" and member.username:
            return member.username
    name = None if isinstance(team, list) or team is None else team.name
    if not name:
        raise place.error("missing owner: expected a team name or a member with role owner")
    return name


def _alert_channel(odcs: OpenDataContractStandard, place: Place) -> str:
    channels = sorted(odcs.support or [], key=lambda each: each.scope != "issues")
    if not channels or not channels[0].channel:
        raise place.error("missing alert channel: expected an entry with channel")
    return channels[0].channel


def _volatile(custom: dict[str, Any], fields: tuple[Field, ...], place: Place) -> tuple[str, ...]:
    names = texts(custom.get("volatile"), "volatile", place)
    for each in names:
        if each not in {field.name for field in fields}:
            raise place.error(f"{each!r} is not a declared top-level field")
    return names


def _service_levels(found: list[ServiceLevelAgreementProperty] | None, place: Place) -> dict[str, Any]:
    """The values of `Contract` that ODCS's `slaProperties` hold.

    Raises ContractError when latency or frequency is missing, repeated or not a time span.
    """
    spans: dict[str, ServiceLevelAgreementProperty] = {}
    others: list[ServiceLevel] = []
    for each in found or []:
        if not each.property:
            raise place.error("an entry has no property")
        if each.property in spans:
            raise place.at(each.property).error("given twice")
        if each.property in _SPANS:
            spans[each.property] = each
        else:
            description = " ".join((each.description or "").split())
            others.append(ServiceLevel(each.property, str(each.value), each.unit, description))
    for name in ("latency", "frequency"):
        if name not in spans:
            raise place.error(f"missing {name}")
    lateness_p99 = _span(spans["latency"], spans["latency"].value, place)
    lateness_max = _span(spans["latency"], spans["latency"].valueExt, place)
    if lateness_max < lateness_p99:
        raise place.at("latency").error("valueExt (maximum) is smaller than value (99th percentile)")
    return {
        "lateness_p99": lateness_p99,
        "lateness_max": lateness_max,
        "cadence": _span(spans["frequency"], spans["frequency"].value, place),
        "retention": _span(spans["retention"], spans["retention"].value, place) if "retention" in spans else None,
        "service_levels": tuple(others),
    }


def _span(found: ServiceLevelAgreementProperty, value: object, place: Place) -> timedelta:
    try:
        return duration(value, found.unit)
    except ValueError as error:
        raise place.at(str(found.property)).error(str(error)) from None


def _check_standard(document: dict[str, Any], file: Path) -> None:
    """Hold a file against the official ODCS JSON Schema: the models of the package let misspelt keys pass.

    Raises ContractError for the innermost place that the standard does not allow.
    """
    found = max(_validator().iter_errors(document), key=lambda error: len(error.instance_path), default=None)
    if found is not None:
        raise Place(file, _named(document, found.instance_path)).error(f"not ODCS: {_short(found.message)}")


@cache
def _validator() -> jsonschema_rs.Validator:
    schema = files("open_data_contract_standard").joinpath("schema.json").read_text(encoding="utf-8")
    return jsonschema_rs.validator_for(json.loads(schema))


def _named(document: Any, path: list[str | int]) -> str:
    """The place in words: a list entry is called by its name or property, a field by its path."""
    words: list[str] = []
    for step in path:
        document = document[step]
        name = document.get("name") or document.get("property") if isinstance(document, dict) else None
        words.append(str(name or step))
    if path[:1] == ["schema"] and len(path) > 3:
        words = [word for word, step in zip(words[3:], path[3:], strict=True) if step != "properties"]
    return ".".join(words).replace(".items", "[*]") or "contract"


def _short(message: str) -> str:
    return message if len(message) <= 200 else message[:197] + "..."


def read_delivery(custom: dict[str, Any], place: Place) -> dict[str, Any]:
    """The values of `Contract` that the reading side needs before it sees a record.

    Raises ContractError naming the custom property.
    """
    pattern, arrival_format = _arrival(custom, place)
    return {
        "transport": choice(custom, "transport", _TRANSPORTS, place),
        "wrappers": _wrappers(custom, place.at("wrappers")),
        "records_keys": texts(custom.get("recordsKeys", ["Records"]), "recordsKeys", place),
        "arrival_pattern": pattern,
        "arrival_format": arrival_format,
        "ignore": texts(custom.get("ignore"), "ignore", place),
        "future_tolerance": _tolerance(custom, place.at("futureTolerance")),
        "key_layouts": read_layouts(texts(custom.get("keyLayouts"), "keyLayouts", place), place.at("keyLayouts")),
        "notifications": choice(custom, "notifications", _NOTIFICATIONS, place),
    }


def _wrappers(custom: dict[str, Any], place: Place) -> tuple[str, ...]:
    found = texts(custom.get("wrappers"), "wrappers", place)
    for each in found:
        if each not in _WRAPPERS:
            raise place.error(f"found {each!r}, {one_of(_WRAPPERS)}")
    return found


def _tolerance(custom: dict[str, Any], place: Place) -> timedelta:
    try:
        return duration_text(custom.get("futureTolerance", "1 h"))
    except ValueError as error:
        raise place.error(str(error)) from None


def _share(custom: dict[str, Any], place: Place) -> float | None:
    share = custom.get("stallAbove")
    if share is not None and not 0 <= share < 1:
        raise place.error(f"found {share!r}, expected a share of a batch's records: from 0 to below 1, such as 0.1")
    return share


def _arrival(custom: dict[str, Any], place: Place) -> tuple[re.Pattern[str] | None, str | None]:
    text, form = custom.get("arrivalPattern"), custom.get("arrivalFormat")
    if (text is None) != (form is None):
        raise place.at("arrivalPattern").error("arrivalPattern and arrivalFormat are given together")
    if text is None or form is None:
        return None, None
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise place.at("arrivalPattern").error(f"not a regular expression: {error}") from None
    if "at" not in pattern.groupindex:
        raise place.at("arrivalPattern").error("expected a group named at: (?P<at>...)")
    try:
        datetime.strptime(datetime(2001, 2, 3, 4, 5, 6).strftime(form), form)
    except ValueError as error:
        raise place.at("arrivalFormat").error(f"not a strptime format: {error}") from None
    return pattern, form


def read_layouts(templates: tuple[str, ...], place: Place) -> tuple[KeyLayout, ...]:
    """The layouts of a contract. Raises ContractError."""
    try:
        return tuple(read_template(each) for each in templates)
    except ValueError as error:
        raise place.error(str(error)) from None
