"""SQL that all of context is made of: temporary tables, lists of what holds when, JSON objects."""

from collections.abc import Iterable, Mapping


def table(name: str, sql: str) -> str:
    """Return the statement that makes a temporary table `context_<name>`."""
    return f"create or replace temp table context_{name} as\n{sql};\n"


def lists(what: str, list_type: str = "") -> str:
    """Return the columns `always`, what holds during the whole hour, and `sometimes`, what begins or ends within it.

    Aggregates over rows with event_hour, valid_from, valid_to, `place` (their order) and the struct `what`. Sorted once
    they are lists, for an ordered aggregate sorts each group by itself.
    """
    whole = "valid_from <= event_hour and valid_to >= event_hour + interval 1 hour"
    later = f"::struct(valid_from timestamp, valid_to timestamp, what {list_type[:-2]})[]" if list_type else ""
    return f"""list_transform(
    list_sort(list({{'place': place, 'what': {what}}}) filter ({whole})), lambda each: each.what
  ){f"::{list_type}" if list_type else ""} as always,
  list_transform(
    list_sort(list({{'place': place, 'valid_from': valid_from, 'valid_to': valid_to, 'what': {what}}})
      filter (not ({whole}))),
    lambda each: {{'valid_from': each.valid_from, 'valid_to': each.valid_to, 'what': each.what}}
  ){later} as sometimes"""


def json_object(fields: Mapping[str, str]) -> str:
    """Return SQL of a JSON object of SQL values, as text, without those that are NULL."""
    return f"json_merge_patch('{{}}', to_json({struct(fields)}))::varchar"


def struct(fields: Mapping[str, str]) -> str:
    """Return SQL of a struct of SQL values."""
    return "{" + ", ".join(f"'{name}': {value}" for name, value in fields.items()) + "}"


def same(names: Iterable[str], prefix: str = "") -> dict[str, str]:
    """Return columns under their own names."""
    return {name: f"{prefix}{name}" for name in names}


def times(*columns: str, prefix: str = "") -> dict[str, str]:
    """Return TIMESTAMP columns (UTC) as texts for JSON, under their own names."""
    return {name: f"strftime({prefix}{name}, '%Y-%m-%dT%H:%M:%SZ')" for name in columns}


def case(value: str, texts: Mapping[str, str], otherwise: str = "null") -> str:
    """Return SQL that maps texts to SQL values."""
    return (
        f"case {value}"
        + "".join(f" when '{text}' then {sql}" for text, sql in texts.items())
        + f" else {otherwise} end"
    )
