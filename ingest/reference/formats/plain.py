"""Plain lists: an address, network, range, domain, URL, hash, e-mail address or CVE id a line.

Also lists with trailing columns (`1.2.3.4<TAB>9`, as github.com/stamparm/ipsum has them) and hosts files
(`0.0.0.0 ads.example.com`). Lines that begin with `#`, `;`, `//` or `!` are comments, and so is what follows one of the
first three behind a blank.
"""

import re
from collections.abc import Iterator

from pydantic import Field

from ingest.reference.formats import FormatError, FormatOptions, Mode, Source
from ingest.reference.observables import KINDS, NotObservable, entries
from ingest.reference.reading.field_mapping import FieldMapping, Mapped
from ingest.reference.reading.records import Record, line_records
from ingest.reference.reading.values import CONVERTERS
from ingest.reference.tables import OBSERVABLE_TABLES, PAYLOADS, WARNING_LISTS, Entry, Reject

TABLES = OBSERVABLE_TABLES
MODE: Mode = "full"
READS = "file"

_COMMENT = re.compile(r"\s*(#|;|//|!)")
_INLINE = re.compile(r"(?<=\S)\s+(#|;|//).*\Z")  # begun at the first blank of a run only: a line may be all blanks
_RANGE = re.compile(r"\A([0-9a-fA-F.:]+)\s+-\s+([0-9a-fA-F.:]+)(?=\s|\Z)")
_SINKHOLES = {"0.0.0.0", "127.0.0.1", "::", "::1"}


class Options(FormatOptions):
    """How a list is written.

    `kind`: kind of every line (default: by its look). `columns`: what stands behind the observable, column by column
    (names of the table's columns; `_` is passed over); `separator`: what parts them (default: blanks).
    `confidence_times`: a column `confidence` that counts is multiplied by this, up to 100. `constants`: column → value
    for every row.
    """

    kind: str = ""
    columns: list[str] = Field(default=[])
    separator: str = ""
    confidence_times: float = 1.0
    constants: dict[str, str | int | bool | list[str]] = Field(default={})


def read(source: Source, options: Options) -> Iterator[Entry | Reject]:
    """Yield the entries of a list, line by line. Raises FormatError: unknown columns or kind, a damaged file."""
    _check(source, options)
    constants = FieldMapping(source.table, Mapped(constants=options.constants), None).constants
    for record in line_records(source):
        if record.problem:
            yield record.reject(record.problem)
        elif _COMMENT.match(record.text):
            source.skipped["comment"] += 1
        else:
            try:
                yield from _line(source, options, constants, record)
            except ValueError as error:
                yield record.reject(str(error))


def _check(source: Source, options: Options) -> None:
    known = set(PAYLOADS[source.table])
    unknown = ({name for name in options.columns if name != "_"} | set(options.constants)) - known
    if unknown:
        raise FormatError(f"{', '.join(sorted(unknown))}: no column of {source.table} ({', '.join(sorted(known))})")
    if options.kind and options.kind not in KINDS:
        raise FormatError(f"kind {options.kind!r} is none of {', '.join(KINDS)}")


def _line(source: Source, options: Options, constants: dict[str, object], record: Record) -> list[Entry]:
    text = _RANGE.sub(r"\1-\2", _INLINE.sub("", record.text).strip())
    words = [word.strip() for word in text.split(options.separator)] if options.separator else text.split()
    wildcards = source.table == WARNING_LISTS
    if not words:  # characters that are blanks to Python, and were none to the decoder
        source.skipped["blank"] += 1
        return []
    if len(words) > 1 and words[0] in _SINKHOLES and not options.columns:
        return _hosts(source, words[1:], constants, wildcards)
    payload = constants | _columns(source, options, words[1:])
    found = list(entries(words[0], payload, options.kind, wildcards=wildcards))
    if len(words) > 1 and not options.columns:
        source.skipped["text behind the observable"] += 1
    return found


def _hosts(source: Source, names: list[str], constants: dict[str, object], wildcards: bool) -> list[Entry]:
    """The names of a line of a hosts file; a line of the machine's own names (localhost) has none."""
    public = [name for name in names if "." in name and name not in _SINKHOLES and not name.endswith(".localdomain")]
    if not public:
        source.skipped["local name"] += 1
    found: list[Entry] = []
    for name in public:
        found += entries(name, constants, "domain", wildcards=wildcards)
    return found


def _columns(source: Source, options: Options, words: list[str]) -> dict[str, object]:
    types = PAYLOADS[source.table]
    payload: dict[str, object] = {}
    for name, word in zip(options.columns, words, strict=False):
        if name == "_" or not word:
            continue
        if name == "confidence":
            word = str(min(100.0, _number(word) * options.confidence_times))
        payload[name] = CONVERTERS[types[name]](word)
    return payload


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise NotObservable(f"confidence: {word!r} is no number") from None
