"""Why a batch was not landed: one class for each thing that a person has to do about it."""

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

from lake.base.errors import HeadwaterError
from lake.ledger.receipts import LandingReceipt


class LandingError(HeadwaterError):
    """A batch that could not be landed. Nothing was published; the message says where its records are."""


class ObjectsGone(LandingError):
    """Objects that a batch was made of are gone: landing it again would lose their records."""


class NoneReadable(LandingError):
    """Not one object of a batch could be read. Nothing was published; `unreadable` holds (name, why) of each."""

    def __init__(self, source: str, batch: str, unreadable: Sequence[tuple[str, str]]) -> None:
        self.unreadable = tuple(unreadable)
        super().__init__(
            f"{source}: batch {batch} was not landed: none of its {len(unreadable)} objects could be read; the first:"
            f" {unreadable[0][1]}. Nothing was published; the records are still in the objects they came from."
        )


class FewerRecords(LandingError):
    """A batch that is asked for again and answers fewer records than it landed; the landed ones stay as they are."""


def check_none_gone(
    source: str,
    batch: str,
    previous: LandingReceipt | None,
    gone: Collection[str],
    refused: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Raise ObjectsGone if a batch holds records of objects that are gone; `refused` says why of some of them."""
    if previous is None or not (previous.files or previous.quarantine_files or previous.status == "published"):
        return  # a batch that stalled before it ever landed has no records to lose
    lost = [mark.name for mark in previous.objects if mark.name in gone]
    if lost:
        why = refused.get(lost[0])
        what = f"cannot be read any more (first: {why})" if why else f"are no longer at the source (first: {lost[0]})"
        raise ObjectsGone(
            f"{source}: batch {batch} holds {len(lost)} objects that {what}."
            " Landing it again would lose their records, so nothing was changed; bronze keeps what it has."
        )
