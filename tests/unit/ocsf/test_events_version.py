"""The version of the SQL that makes events of a class changes when the SQL does, and for the classes it concerns."""

from dataclasses import replace

import pytest

from lake.ocsf.attributes import declared_classes
from lake.ocsf.context import fill, listed
from lake.ocsf.context.statements import events_version


def versions(enriched: bool = True) -> dict[str, str]:
    return {name: events_version(each, enriched) for name, each in declared_classes().items()}


@pytest.fixture(scope="module")
def before() -> dict[str, str]:
    return versions()


@pytest.fixture(scope="module")
def bare() -> dict[str, str]:
    """The versions without context."""
    return versions(enriched=False)


def test_each_class_has_its_own_and_keeps_it(before: dict[str, str], bare: dict[str, str]) -> None:
    assert versions() == before
    assert len({*before.values(), *bare.values()}) == 2 * len(declared_classes())


def test_what_is_said_of_something_found_concerns_every_class(
    before: dict[str, str], bare: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    warnings = listed.LISTS[listed.WARNINGS]
    monkeypatch.setitem(listed.LISTS, listed.WARNINGS, replace(warnings, data="'{}'"))
    assert all(before[name] != version for name, version in versions().items())
    assert versions(enriched=False) == bare


def test_a_place_of_destinations_concerns_the_classes_that_have_one(
    before: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(fill.PLACES, "machine", tuple(each for each in fill.PLACES["machine"] if each != "isp"))
    changed = {name for name, version in versions().items() if version != before[name]}
    assert {"network_activity", "authentication"} <= changed < before.keys()
