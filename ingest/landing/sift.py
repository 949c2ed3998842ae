"""Looking for the records that make a batch fail: the records are tried in halves, until the bad ones are alone.

Only a batch that failed comes here, so the usual one pays nothing. A bad record is known by its place, so that the same
batch again gives the same rows.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

import pyarrow as pa
import pyarrow.compute as pc

Place = tuple[str, int]  # of a record: its object's name, and its number there
Attempt = Callable[[list[pa.RecordBatch]], None]

UNPROCESSABLE = "unprocessable"
_GROUP_BYTES = 32 << 20  # tried at once: few attempts where little is bad, in bounded memory
_SHOWN_CHARACTERS = 200


def sift(
    batches: Iterable[pa.RecordBatch], attempt: Attempt, lies_in_data: Callable[[Exception], bool]
) -> dict[Place, str]:
    """Return the places of the decoded records with which `attempt` fails, and the error of each.

    Raises what `attempt` raises without any record, and whatever else does not lie in the data.
    """
    attempt([])
    found: dict[Place, str] = {}

    def fails(some: list[pa.RecordBatch]) -> str | None:
        try:
            attempt(some)
        except Exception as problem:
            if not lies_in_data(problem):
                raise
            first_line = (str(problem) or type(problem).__name__).splitlines()[0]
            return f"{type(problem).__name__}: {first_line}"[:_SHOWN_CHARACTERS]
        return None

    def look(some: list[pa.RecordBatch], known_bad: bool) -> bool:
        """Note the bad records; whether there is any. `known_bad`: there must be one, so the whole is not tried."""
        records = sum(map(len, some))
        if records > 1 and known_bad:
            first, second = _halves(some)
            return look(second, not look(first, False)) or True
        why = fails(some)
        if why is None:
            return False
        if records > 1:
            return look(some, True)
        ((name, row),) = _places(some[0])
        found[name, row] = why
        return True

    for group in _groups(batches):
        look(group, False)
    return found


def marked(batch: pa.RecordBatch, bad: Mapping[Place, str]) -> pa.RecordBatch:
    """Return the batch with the records at these places marked as `unprocessable`, which nobody reads further."""
    names = set(batch.column("object").dictionary.to_pylist())
    if names.isdisjoint(name for name, _ in bad):
        return batch
    why = [bad.get(place) for place in _places(batch)]
    here = pa.array([each is not None for each in why])
    problem = pc.if_else(here, UNPROCESSABLE, batch.column("problem"))
    detail = pc.if_else(here, pa.array(why, pa.utf8()), batch.column("detail"))
    return pa.RecordBatch.from_arrays([*batch.columns[:3], problem, detail, *batch.columns[5:]], schema=batch.schema)


def _places(batch: pa.RecordBatch) -> list[Place]:
    return list(zip(batch.column("object").to_pylist(), batch.column("row").to_pylist(), strict=True))


def _groups(batches: Iterable[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    group: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        if group and size + batch.nbytes > _GROUP_BYTES:
            yield group
            group, size = [], 0
        group.append(batch)
        size += batch.nbytes
    if group:
        yield group


def _halves(some: list[pa.RecordBatch]) -> tuple[list[pa.RecordBatch], list[pa.RecordBatch]]:
    if len(some) > 1:
        return some[: len(some) // 2], some[len(some) // 2 :]
    batch = some[0]
    return [batch.slice(0, len(batch) // 2)], [batch.slice(len(batch) // 2)]
