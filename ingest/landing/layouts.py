"""Records that came in another layout than their contract's, as the contract has them (`layouts: true`).

Only records that `FastPath` cannot read are looked at; the source's `layouts.py` knows their layouts. Loaded when a
batch has such records.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingest.contracts import Contract, Field
from ingest.sources import layouts_of

Read = Callable[[str], str | None]


def in_own_layout(
    contract: Contract, lines: pa.StringArray, raw: pa.StringArray, looked_at: npt.NDArray[np.bool_]
) -> tuple[pa.StringArray, pa.StringArray, npt.NDArray[np.int64]]:
    """Return the lines, those that are looked at in their contract's layout where they had another; the texts as
    delivered of all that were changed, else NULL; and the places of those that were changed here. What stands in front
    of an object on its line, such as a syslog header, becomes `LineHeader`.
    """
    read = reader_of(contract.source, contract.fields)
    rows = np.flatnonzero(looked_at).tolist()
    made = {row: text for row in rows if (text := read(lines[row].as_py())) is not None}
    if made:
        texts, delivered = lines.to_pylist(), raw.to_pylist()
        for row, text in made.items():
            delivered[row] = texts[row] if delivered[row] is None else delivered[row]
            texts[row] = text
        lines, raw = pa.array(texts, pa.utf8()), pa.array(delivered, pa.utf8())
    return lines, raw, np.fromiter(made, dtype=np.int64, count=len(made))


@cache
def reader_of(source: str, fields: tuple[Field, ...]) -> Read:
    """What gives the JSON of a record in its contract's layout, None where it is of no layout that is known."""
    layouts = layouts_of(source)
    own_names = {each.name.lower(): each.name for each in fields}
    of_text: Callable[[str], dict[str, Any] | None] = getattr(layouts, "of_text", lambda line: None)
    decode, encode = msgspec.json.Decoder(dict[str, Any]).decode, msgspec.json.Encoder().encode

    def read(line: str) -> str | None:
        header = ""
        try:
            record = of_text(line)
            if record is None:
                begin = line.find("{")
                header = line[:begin].strip()
                record = decode(line[begin:])
            made = layouts.plain(record, own_names) if layouts else None
            if made is None:
                return None
            return encode({"LineHeader": header, **made} if header else made).decode()
        except Exception:  # whatever a record makes `plain` fail with
            return None  # StrictSql says what is wrong with it

    return read
