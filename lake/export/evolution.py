"""Evolving a destination's table: a new column is added, a narrower type widened, anything else stops the export."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from lake.export.errors import SchemaConflict


@dataclass(frozen=True)
class Evolution:
    """What a table needs before it takes the rows: columns to add, columns to widen, each with its new type."""

    added: dict[str, str]
    widened: dict[str, str]

    def __bool__(self) -> bool:
        return bool(self.added or self.widened)


def evolution(
    where: str, held: Mapping[str, str], wanted: Mapping[str, str], wider: Mapping[str, Collection[str]]
) -> Evolution:
    """Return how a table with columns `held` comes to take rows with columns `wanted` (name → type, dotted if nested).

    `wider` gives, for each type, the types that hold all its values. A column that the rows no longer have stays, and
    is NULL in them; a column that is wider than the rows need stays wide.

    Raises:
        SchemaConflict: naming the columns whose types are neither equal nor wider.
    """
    added = {name: type_ for name, type_ in wanted.items() if name not in held}
    common = {name: (held[name], type_) for name, type_ in wanted.items() if name in held and held[name] != type_}
    widened = {name: to for name, (is_, to) in common.items() if to in wider.get(is_, ())}
    wrong = [
        f"{name} is {is_} there and {to} here"
        for name, (is_, to) in sorted(common.items())
        if name not in widened and is_ not in wider.get(to, ())
    ]
    if wrong:
        raise SchemaConflict(
            f"{where}: {'; '.join(wrong[:5])}{' …' if len(wrong) > 5 else ''}. Nothing was changed there. Export to a"
            " new table (`table` in the model's meta.exports), or change the column by hand; then push again"
        )
    return Evolution(added, widened)
