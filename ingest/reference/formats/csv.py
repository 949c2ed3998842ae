"""CSV files with a header, or with `columns`: any table, by the names of the columns or as `fields` declares.

Lines that begin with `comment` are passed over; of a comment directly before the first row nothing is a header unless
`columns` names it. A quoted value may run over several lines.
"""

import csv
import itertools
from collections.abc import Callable, Iterator

from pydantic import Field, field_validator

from ingest.reference.formats import FormatError, Mode, Source
from ingest.reference.reading.field_mapping import FieldMapping, Mapped
from ingest.reference.reading.records import Record, line_records
from ingest.reference.tables import TABLES as ALL_TABLES
from ingest.reference.tables import Entry, Reject

TABLES = ALL_TABLES
MODE: Mode = "full"
READS = "file"
MAX_LINES = 200  # of one row: an unclosed quote must not take the rest of the file


class Options(Mapped):
    """See `Mapped`. `columns`: the header, where the file has none; `comment`: how a line begins that is no row."""

    delimiter: str = ","
    quote: str = '"'
    comment: str = "#"
    columns: list[str] = Field(default=[])

    @field_validator("delimiter", "quote")
    @classmethod
    def _one_character(cls, given: str) -> str:
        if len(given) != 1:
            raise ValueError("expected one character")
        return given


def read(source: Source, options: Options) -> Iterator[Entry | Reject]:
    """Yield the entries of a CSV file, row by row. Raises FormatError: no header, or none that fits the table."""
    found = rows(source, delimiter=options.delimiter, quote=options.quote, comment=options.comment)
    header = options.columns or _header(source, found)
    mapping = FieldMapping(source.table, options, header)
    for row, record in found:
        if isinstance(row, str):
            yield record.reject(row)
        elif len(row) != len(header):
            yield record.reject(f"{len(row)} values, the header has {len(header)}")
        else:
            try:
                yield from mapping.entries(dict(zip(header, row, strict=True)))
            except ValueError as error:
                yield record.reject(str(error))


def _header(source: Source, found: Iterator[tuple[list[str] | str, Record]]) -> list[str]:
    row, _ = next(found, ([], None))
    if not row or isinstance(row, str):
        raise FormatError(f"{source.name}: no header line{f': {row}' if row else ''}")
    names = [name.strip() for name in row]
    repeated = {name for name in names if name and names.count(name) > 1}
    if repeated:
        raise FormatError(f"{source.name}: the header has {', '.join(sorted(repeated))} more than once")
    return names


def rows(
    source: Source,
    *,
    delimiter: str = ",",
    quote: str = '"',
    comment: str = "#",
    skip_blanks: bool = False,
    on_comment: Callable[[str], None] = lambda text: None,
) -> Iterator[tuple[list[str] | str, Record]]:
    """Yield the values of each row, or what is wrong with it, with its text and place; comments are counted.

    `skip_blanks`: blanks behind a delimiter do not belong to the value, as in `"a", "b"`. `on_comment` gets comments.
    """
    lines = _Lines(line_records(source))
    parser = csv.reader(
        lines, delimiter=delimiter, quotechar=quote, strict=True, skipinitialspace=skip_blanks, doublequote=True
    )
    while (first := lines.begin()) is not None:
        if comment and first.text.startswith(comment):
            on_comment(lines.take().text)
            source.skipped["comment"] += 1
        elif first.problem:
            lines.take()
            yield first.problem, first
        else:
            try:
                yield next(parser), first
            except csv.Error as error:
                lines.back_to_second()
                yield f"not CSV: {error}", first


class _Lines:
    """The lines as the parser takes them; after a row that is none, it goes on with the line after its first."""

    def __init__(self, found: Iterator[Record]) -> None:
        self._found = found
        self._ahead: list[Record] = []
        self._taken: list[Record] = []

    def begin(self) -> Record | None:
        """Return the first line of the next row without taking it."""
        self._taken = []
        if not self._ahead:
            self._ahead = list(itertools.islice(self._found, 1))
        return self._ahead[0] if self._ahead else None

    def take(self) -> Record:
        record = self._ahead.pop(0) if self._ahead else next(self._found)
        self._taken.append(record)
        return record

    def back_to_second(self) -> None:
        self._ahead = self._taken[1:] + self._ahead

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        if len(self._taken) == MAX_LINES:
            raise csv.Error(f"a quoted value of more than {MAX_LINES} lines")
        return self.take().text + "\n"
