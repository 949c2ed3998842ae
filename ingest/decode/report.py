"""What decoding was allowed to use, and what it counted.

Belongs here: limits, counts, and the one error that decoding raises. Not here: any reading or splitting.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

MIB = 1024 * 1024


class ObjectUnreadable(Exception):
    """An object could not be opened or read, whatever its content. `name` is the object, `reason` a sentence."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason


@dataclass(frozen=True)
class Limits:
    """Sizes in bytes of decoded text that bound the memory used; peak use is a small multiple of `max_document_bytes`.

    `chunk_bytes`: about the size of one emitted batch. `max_record_bytes`: a longer record is
    cut and reported as too_large. `max_document_bytes`: a longer envelope or array is split as it streams by.
    """

    chunk_bytes: int = 16 * MIB
    max_record_bytes: int = 16 * MIB
    max_document_bytes: int = 64 * MIB

    def __post_init__(self) -> None:
        for name in ("chunk_bytes", "max_record_bytes", "max_document_bytes"):
            value = getattr(self, name)
            if not 1 <= value <= 256 * MIB:
                raise ValueError(f"{name} must be between 1 byte and 256 MiB, found {value}")


@dataclass
class ObjectCount:
    """What one object held: `bytes` as stored, `records` over all its members."""

    arrived_at: datetime
    fingerprint: str
    bytes: int = 0
    records: int = 0


@dataclass
class DecodeReport:
    """Counts of one decode, filled while its batches are read and final when the last one has been.

    `bytes_read` is as stored (compressed), `bytes_decoded` after decompression. `records` is counted where text is cut
    into records, not from the batches: it is the "read" side of the conservation equation. `members` leads from a
    value of the `object` column to the object it came from where the two differ (members of zip archives). `gone` are
    objects that were no longer there when their turn came; they stand in `ignored` too, with the reason. `refused` are
    (name, why) of objects that are there and were not given.
    """

    bytes_read: int = 0
    bytes_decoded: int = 0
    records: int = 0
    objects: dict[str, ObjectCount] = field(default_factory=dict)
    members: dict[str, str] = field(default_factory=dict)
    ignored: list[tuple[str, str]] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def object_of(self, name: str) -> str:
        """Return the object that holds a record's `object` name; a zip's member is held by its zip."""
        return self.members.get(name, name)

    def arrivals(self, names: pa.Array) -> pa.Array:
        """Return when the objects of some records arrived (timestamp, µs, UTC without zone), by their names."""
        encoded = names if pa.types.is_dictionary(names.type) else pc.dictionary_encode(names)
        found = [self.objects[self.object_of(name)].arrived_at for name in encoded.dictionary.to_pylist()]
        instants = pa.array([each.astimezone(UTC).replace(tzinfo=None) for each in found], pa.timestamp("us"))
        return instants.take(encoded.indices)
