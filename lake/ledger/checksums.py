"""Checksums over rows: the same rows have the same sum, whatever their order, file or compression.

A checksum in a receipt is `<sum of contents>-<sum of origins>-<contract>-<landing version>`.
"""

from lake.storage import paths

_CONTENT = {paths.BRONZE: "_content_hash", paths.QUARANTINE: "hash(_raw)"}


def sums(room: str) -> str:
    """Return an aggregate (VARCHAR) over the rows of a bronze or quarantine file: contents, then objects and rows."""
    content, origin = f"sum({_CONTENT[room]}::hugeint)", "sum(hash(_source_object, _source_row)::hugeint)"
    return f"({content}::varchar || '-' || {origin}::varchar)"


def checksum(summed: str, contract_fingerprint: str, landing_version: str) -> str:
    """Return the checksum of rows of one contract."""
    return f"{summed}-{contract_fingerprint[:12]}-{landing_version}"


def summed_again(old: str, summed: str) -> str:
    """Return the checksum of some of the rows of a file that had the checksum `old`."""
    return "-".join([summed, *old.split("-")[2:]])


def contents(text: str) -> int:
    """Return the sum of contents of a checksum: it adds up over files, and no version of DuckDB changes it in bronze.

    Raises ValueError for what is no checksum.
    """
    return int(text.split("-", 1)[0])
