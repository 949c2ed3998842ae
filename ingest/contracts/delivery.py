"""How a source's data comes: transport, objects to ignore, where records and the delivery time are found."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from ingest.contracts.complete_batch import CompleteBatch, read_complete_batch
from ingest.contracts.custom import texts
from ingest.contracts.durations import duration_text
from ingest.contracts.errors import Place, one_of
from ingest.contracts.layouts import KeyLayout, read_layouts

_TRANSPORTS: Final = ("object_store", "http_cursor")
_WRAPPERS: Final = ("cloudwatch_logs", "eventbridge")
_NOTIFICATIONS: Final = ("s3_event", "crowdstrike_fdr")


@dataclass(frozen=True, slots=True)
class Delivery:
    """The part of a contract that the reading side needs before it sees a record."""

    transport: str
    records_keys: tuple[str, ...]
    wrappers: tuple[str, ...]
    arrival_pattern: re.Pattern[str] | None
    arrival_format: str | None
    ignore: tuple[str, ...]
    future_tolerance: timedelta
    key_layouts: tuple[KeyLayout, ...]
    notifications: str
    complete_batch: CompleteBatch | None


def read_delivery(custom: dict[str, Any], place: Place) -> Delivery:
    """Raises ContractError naming the custom property."""
    transport = custom.get("transport", "object_store")
    if transport not in _TRANSPORTS:
        raise place.at("transport").error(f"found {transport!r}, {one_of(_TRANSPORTS)}")
    notifications = custom.get("notifications", "s3_event")
    if notifications not in _NOTIFICATIONS:
        raise place.at("notifications").error(f"found {notifications!r}, {one_of(_NOTIFICATIONS)}")
    pattern, arrival_format = _arrival(custom, place)
    return Delivery(
        transport=transport,
        wrappers=_wrappers(custom, place.at("wrappers")),
        records_keys=texts(custom.get("recordsKeys", ["Records"]), "recordsKeys", place),
        arrival_pattern=pattern,
        arrival_format=arrival_format,
        ignore=texts(custom.get("ignore"), "ignore", place),
        future_tolerance=_tolerance(custom, place.at("futureTolerance")),
        key_layouts=read_layouts(texts(custom.get("keyLayouts"), "keyLayouts", place), place.at("keyLayouts")),
        notifications=notifications,
        complete_batch=read_complete_batch(custom, place.at("completeBatch")),
    )


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
