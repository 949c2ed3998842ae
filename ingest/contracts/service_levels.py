"""ODCS `slaProperties`: latency, frequency and retention as time spans, the others as they stand."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from open_data_contract_standard.model import ServiceLevelAgreementProperty

from ingest.contracts.durations import duration
from ingest.contracts.errors import Place
from ingest.contracts.model import ServiceLevel

_SPANS: Final = ("latency", "frequency", "retention")


@dataclass(frozen=True, slots=True)
class ServiceLevels:
    """What a source promises about time, and its other service levels."""

    lateness_p99: timedelta
    lateness_max: timedelta
    cadence: timedelta
    retention: timedelta | None
    others: tuple[ServiceLevel, ...]


def read_service_levels(found: list[ServiceLevelAgreementProperty] | None, place: Place) -> ServiceLevels:
    """Raises ContractError when latency or frequency is missing, repeated or not a time span."""
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
    return ServiceLevels(
        lateness_p99=lateness_p99,
        lateness_max=lateness_max,
        cadence=_span(spans["frequency"], spans["frequency"].value, place),
        retention=_span(spans["retention"], spans["retention"].value, place) if "retention" in spans else None,
        others=tuple(others),
    )


def _span(found: ServiceLevelAgreementProperty, value: object, place: Place) -> timedelta:
    try:
        return duration(value, found.unit)
    except ValueError as error:
        raise place.at(str(found.property)).error(str(error)) from None
