from dataclasses import replace

import pytest

from lake.ocsf.attributes import EventClass, Shape, declared_classes
from lake.ocsf.rules import profiles_filled, rules
from lake.ocsf.validate import validate_event
from tests.unit.ocsf.events import broken, broken_rules, full_event, minimal_event, table_of, without_nulls

CLASSES = declared_classes()
# What these rules refuse beyond the official schema.
STRICTER = ("type_uid", "version(", "format(", "profile(metadata.profiles[])")

each_class = pytest.mark.parametrize("event_class", CLASSES.values(), ids=CLASSES)


def own(event_class: EventClass) -> Shape:
    """The attributes that no class before this one has: the others have cases of their own there."""
    before = []
    for other in CLASSES.values():
        if other is event_class:
            break
        before += other.shape.attributes
    attributes = tuple(each for each in event_class.shape.attributes if each not in before)
    return replace(event_class.shape, attributes=attributes)


@each_class
def test_whatever_the_official_schema_rejects_breaks_a_rule_in_sql_and_sound_events_break_none(
    event_class: EventClass,
) -> None:
    shape, sound = own(event_class), [full_event(event_class), minimal_event(event_class)]
    variants = [each for event in sound for each in broken(event, shape)]
    in_sql = broken_rules(event_class, table_of(event_class, [*sound, *(event for _, event in variants)]))
    assert [validate_event(event, event_class.name) for event in sound] == [()] * 2
    assert [set()] * 2 == in_sql[:2]
    for (what, event), sql in zip(variants, in_sql[2:], strict=True):
        whole = without_nulls(event) if what.startswith("nothing in") else event  # no other one has NULLs to drop
        official = {finding.rule for finding in validate_event(whole, event_class.name)}
        assert bool(official) <= bool(sql), f"{what}: official {official}, SQL {sql}"
        assert official or all(rule.startswith(STRICTER) for rule in sql), f"{what}: only in SQL: {sql}"


def test_every_kind_of_rule_is_broken_by_some_event() -> None:
    """The test above can fail: its events break what the official schema rejects, of every kind of rule."""
    event_class = CLASSES["authentication"]
    events = [event for _, event in broken(full_event(event_class), event_class.shape)]
    kinds = {
        rule.partition("(")[0] for rules in broken_rules(event_class, table_of(event_class, events)) for rule in rules
    }
    assert {"required", "enum", "format", "range", "at_least_one", "null", "object"} <= kinds


def test_a_row_can_tell_which_profiles_it_fills() -> None:
    event_class = CLASSES["authentication"]
    filled = profiles_filled(event_class)
    assert set(filled) == set(event_class.profiles)
    events = [full_event(event_class), minimal_event(event_class), minimal_event(event_class) | {"device": {}}]
    rows = table_of(event_class, events).execute(f"select {', '.join(filled.values())} from event").fetchall()
    named = [{profile for profile, is_filled in zip(filled, row, strict=True) if is_filled} for row in rows]
    assert named == [set(event_class.profiles), set(), {"host"}]


@each_class
def test_every_rule_has_a_name_of_its_own(event_class: EventClass) -> None:
    names = [rule.name for rule in rules(event_class)]
    assert len(set(names)) == len(names)
