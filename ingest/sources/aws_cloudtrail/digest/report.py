"""What verifying log files finds: findings with the file's name, and the report they make together."""

from typing import Literal

import msgspec

ERROR, WARNING = "error", "warning"

Kind = Literal[
    "missing_log_file",
    "altered_log_file",
    "extra_log_file",
    "uncovered_log_files",
    "missing_digest",
    "altered_digest",
    "unknown_public_key",
    "no_public_keys",
    "unsigned_digest",
    "digest_gap",
    "no_digests",
    "not_landed",
    "landed_differently",
]
KINDS: dict[Kind, tuple[str, str]] = {
    "missing_log_file": (ERROR, "a digest names it, and it is not there"),
    "altered_log_file": (ERROR, "its content is not what CloudTrail delivered"),
    "extra_log_file": (WARNING, "it lies among the log files, and no digest names it"),
    "uncovered_log_files": (WARNING, "delivered at times that no digest covers, so nothing proves them"),
    "missing_digest": (ERROR, "a digest that must exist is not there"),
    "altered_digest": (ERROR, "a digest is not what CloudTrail signed"),
    "unknown_public_key": (ERROR, "a digest is signed with a key that is not among the public keys"),
    "no_public_keys": (WARNING, "the public keys could not be had: hashes are verified, signatures are not"),
    "unsigned_digest": (WARNING, "no signature of it is known here, and no later digest proves it"),
    "digest_gap": (WARNING, "a new chain of digests begins: logging or validation was off before it"),
    "no_digests": (WARNING, "there are no digest files at all"),
    "not_landed": (ERROR, "CloudTrail delivered it, its hour has landed, and no batch holds it"),
    "landed_differently": (ERROR, "what was landed is not the file that was verified"),
}


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong: the file (path or s3:// address), why, the digest that says so, batches with it."""

    kind: Kind
    file: str
    why: str
    digest: str = ""
    batches: tuple[str, ...] = ()

    @property
    def severity(self) -> str:
        """Return `error` or `warning`."""
        return KINDS[self.kind][0]

    @property
    def meaning(self) -> str:
        """Return what its kind means."""
        return KINDS[self.kind][1]


class ChainSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What was looked at of one chain: how many digests, how many of them are proven by a signature, and the times."""

    chain: str
    digests: int
    proven: int
    first: str
    last: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What verifying a span of arrival hours (`YYYY-MM-DDTHH`, both included) found.

    `log_files` is how many the digests name, `intact` those whose content has the hash that its digest names, `proven`
    those of them whose digest is proven by a signature, `landed` those intact that the lake holds. Bytes as stored.
    """

    source: str
    first: str
    last: str
    digests: int
    log_files: int
    intact: int
    proven: int
    landed: int
    bytes: int
    chains: tuple[ChainSummary, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    @property
    def severity(self) -> str:
        """Return the worst severity of the findings, empty when there are none."""
        found = {each.severity for each in self.findings}
        return ERROR if ERROR in found else WARNING if found else ""

    def plain(self) -> dict[str, object]:
        """Return it as plain values, each finding with its severity and what its kind means."""
        findings = [
            {**msgspec.structs.asdict(each), "severity": each.severity, "meaning": each.meaning}
            for each in self.findings
        ]
        return {**msgspec.structs.asdict(self), "sound": self.sound, "findings": findings}
