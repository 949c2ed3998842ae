"""A contract as the accounts of values need it (`lake/ocsf/values.py`): the names of its records, as a tree."""

from collections.abc import Iterable

from ingest.contracts.model import Contract, Field, split_path
from lake.ocsf.accounts.known import Known
from lake.ocsf.values import Record


def known_record(contract: Contract) -> Record:
    """Return what a contract knows of its records."""
    top = Known(is_open=contract.open_record)
    _add(top, contract.fields, contract)
    beside = {each.name: top.below[each.name] for each in contract.fields if not each.fields_inside}
    for each in contract.fields:
        if each.fields_inside:
            node = top.below[each.name]
            node.is_spread, node.below = True, {**beside, **node.below}
    for path in (*contract.coded, *contract.dropped, *contract.kept):
        node = top
        for step in split_path(path.replace("[*]", "")):
            node = node.below.setdefault(step, Known(is_open=True))
        node.coded, node.dropped = contract.coded.get(path, ()), contract.dropped.get(path, "")
        node.is_kept = path in contract.kept
    text = contract.format
    columns = tuple(each.name for each in contract.fields) if text.is_text else ()
    absent = frozenset((*text.nulls, *contract.placeholders))
    return Record(top, columns, text.header_field or "", text.delimiter or " ", absent)


def _add(parent: Known, fields: Iterable[Field], contract: Contract) -> None:
    times = {each.path for each in contract.event_times}
    for each in fields:
        for steps in ((each.name,), *map(split_path, each.aliases)):
            node = parent
            for step in steps:
                node = node.below.setdefault(step, Known())
            node.path, node.is_time = each.path, each.path in times
            node.coded, node.dropped = contract.coded.get(each.path, ()), contract.dropped.get(each.path, "")
            node.is_kept = each.path in contract.kept
            inner = each.items if each.items is not None else each
            node.is_open = not inner.properties
            _add(node, inner.properties, contract)
