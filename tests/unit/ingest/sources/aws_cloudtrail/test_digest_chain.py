"""Log-file integrity over a folder: every kind of finding, and what is sound."""

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ingest.sources.aws_cloudtrail.digest.keys import FileKeys, PublicKeyError, PublicKeys
from ingest.sources.aws_cloudtrail.digest.logs import Landed
from ingest.sources.aws_cloudtrail.digest.report import KINDS, Report
from ingest.sources.aws_cloudtrail.integrity import open_root, verify
from tests.unit.ingest.sources.aws_cloudtrail.trail import ACCOUNT, BUCKET, Trail, fingerprint, key_pair, listed, regzip

NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)
FIRST, LAST = "2026-03-02T05", "2026-03-02T08"


@pytest.fixture
def keys(tmp_path: Path) -> FileKeys:
    return keys_of(tmp_path / "keys", "eu")


def keys_of(folder: Path, *names: str) -> FileKeys:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "public-keys.json").write_text(json.dumps(listed(*names)))
    return FileKeys([folder])


def trail_of(hours: int = 7, **kinds: str) -> Trail:
    trail = Trail(**kinds)  # type: ignore[arg-type]
    for _ in range(hours):
        trail.hour()
    return trail


def verified(
    folder: Path,
    keys: PublicKeys,
    first: str = FIRST,
    last: str = LAST,
    now: datetime = NOW,
    digests: Path | None = None,
) -> Report:
    return verify(open_root(folder), open_root(digests or folder), keys, first, last, now, Landed())


def found(report: Report) -> list[tuple[str, str]]:
    return [(each.kind, Path(each.file).name) for each in report.findings]


@pytest.mark.parametrize("signed", [True, False], ids=["metadata kept", "metadata lost in the copy"])
def test_an_untouched_trail_is_sound(signed: bool, tmp_path: Path, keys: FileKeys) -> None:
    report = verified(trail_of().write(tmp_path, signed=signed), keys)
    assert [] == found(report)
    assert report.sound and "" == report.severity
    assert (5, 8, 8, 8) == (report.digests, report.log_files, report.intact, report.proven)
    assert [(5, "2026-03-02T04:10:31Z", "2026-03-02T09:10:31Z")] == [
        (each.proven, each.first, each.last) for each in report.chains
    ]


@pytest.mark.parametrize(
    "below",
    ["", "AWSLogs", f"AWSLogs/{ACCOUNT}", f"AWSLogs/{ACCOUNT}/CloudTrail"],
    ids=["above AWSLogs", "AWSLogs", "the account", "its log files"],
)
@pytest.mark.parametrize("kinds", [{}, {"prefix": "security/org/"}, {"organisation": "o-exampleorgid"}], ids=str)
def test_a_root_may_be_any_part_of_the_layout(
    below: str, kinds: dict[str, str], tmp_path: Path, keys: FileKeys
) -> None:
    trail_of(**kinds).write(tmp_path, signed=True)
    top = next(tmp_path.rglob("AWSLogs")).parent
    root = tmp_path if not below else top / below.replace("AWSLogs/", f"AWSLogs/{kinds.get('organisation', '')}/")
    report = verified(root, keys)
    assert ([], 8) == (found(report), report.proven)


def test_digests_may_lie_apart_from_the_logs(tmp_path: Path, keys: FileKeys) -> None:
    trail_of().write(tmp_path / "logs", signed=True)
    for path in sorted((tmp_path / "logs").rglob("*_CloudTrail-Digest_*")):
        target = tmp_path / "digests" / path.relative_to(tmp_path / "logs")
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
    report = verified(tmp_path / "logs", keys, digests=tmp_path / "digests")
    assert ([], 8) == (found(report), report.proven)


def test_every_kind_of_finding_is_said_with_a_severity() -> None:
    assert {"error", "warning"} == {severity for severity, _ in KINDS.values()}


def _delete_log(trail: Trail) -> str:
    trail.files.pop(trail.logs[4])
    return f"s3://{BUCKET}/{trail.logs[4]}"


def _alter_log(trail: Trail) -> str:
    trail.files[trail.logs[4]] = regzip(trail.files[trail.logs[4]], b"ListBuckets", b"ListBuckexs")
    return trail.logs[4]


def _cut_log(trail: Trail) -> str:
    trail.files[trail.logs[4]] = trail.files[trail.logs[4]][:-9]
    return trail.logs[4]


def _append_to_log(trail: Trail) -> str:
    trail.files[trail.logs[4]] += gzip.compress(b'{"Records":[{"eventID":"forged"}]}')
    return trail.logs[4]


def _add_log(trail: Trail) -> str:
    return trail.log(trail.at.replace(hour=6, minute=20), "forged")


def _delete_digest(trail: Trail) -> str:
    trail.files.pop(trail.digests[2])
    trail.metadata.pop(trail.digests[2])
    return f"s3://{BUCKET}/{trail.digests[2]}"


def _alter_digest(trail: Trail) -> str:
    trail.files[trail.digests[2]] = regzip(trail.files[trail.digests[2]], b'"SHA-256"', b'"SHA-256" ')
    return trail.digests[2]


def _break_digest(trail: Trail) -> str:
    trail.files[trail.digests[2]] = b"no gzip at all"
    return trail.digests[2]


def _replay_digest(trail: Trail) -> str:
    trail.files[trail.digests[2]] = trail.files[trail.digests[1]]
    trail.metadata[trail.digests[2]] = trail.metadata[trail.digests[1]]
    return trail.digests[2]


@pytest.mark.parametrize(
    ("tamper", "kind"),
    [
        (_delete_log, "missing_log_file"),
        (_alter_log, "altered_log_file"),
        (_cut_log, "altered_log_file"),
        (_append_to_log, "altered_log_file"),
        (_add_log, "extra_log_file"),
        (_delete_digest, "missing_digest"),
        (_alter_digest, "altered_digest"),
        (_break_digest, "altered_digest"),
        (_replay_digest, "altered_digest"),
    ],
    ids=lambda value: getattr(value, "__name__", value).strip("_"),
)
@pytest.mark.parametrize("signed", [True, False], ids=["signed", "bare"])
def test_what_was_tampered_with_is_named(
    tamper: Callable[[Trail], str], kind: str, signed: bool, tmp_path: Path, keys: FileKeys
) -> None:
    trail = trail_of()
    file = tamper(trail)
    folder = trail.write(tmp_path / "bucket", signed=signed)
    report = verified(folder, keys)
    expected = file if file.startswith("s3://") else str(folder / file)
    assert (kind, expected) in [(each.kind, each.file) for each in report.findings]
    others = {each.kind for each in report.findings} - {kind}
    # a digest that is gone or unreadable leaves its log files, and in a bare copy the digest before it, without proof
    follow = {"uncovered_log_files"} if "digest" in kind else set()
    follow |= {"unsigned_digest"} if "digest" in kind and not signed else set()
    assert others <= follow
    assert KINDS[kind][0] == report.severity or "error" == report.severity  # type: ignore[index]


def test_in_a_bare_copy_the_newest_digest_is_unsigned_until_the_next_one_comes(tmp_path: Path, keys: FileKeys) -> None:
    trail = trail_of(5)  # the last digest ends at 09:10, in the hour after the span
    report = verified(trail.write(tmp_path / "a", signed=False), keys)
    assert [("unsigned_digest", Path(trail.digests[-1]).name)] == found(report)
    assert (4, 8, 6, "warning") == (report.chains[0].proven, report.intact, report.proven, report.severity)
    trail.hour()
    assert [] == found(verified(trail.write(tmp_path / "b", signed=False), keys))


def test_a_digest_signed_with_another_key_is_no_proof(tmp_path: Path, keys: FileKeys) -> None:
    trail = trail_of(7, key="forger")
    report = verified(trail.write(tmp_path / "bucket", signed=True), keys)
    assert [("unknown_public_key", Path(each).name) for each in trail.digests[:5]] == found(report)
    assert fingerprint("forger") in report.findings[0].why
    assert (8, 0) == (report.intact, report.proven)


def test_a_rewritten_chain_that_names_the_true_key_is_altered(
    tmp_path: Path, keys: FileKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    forged = trail_of(7, key="forger")
    for key in forged.digests:
        forged.files[key] = regzip(forged.files[key], fingerprint("forger").encode(), fingerprint("eu").encode())
    report = verified(forged.write(tmp_path / "bucket", signed=True), keys)
    assert {"altered_digest"} == {each.kind for each in report.findings}
    assert 0 == report.proven


def test_a_signature_replaced_in_the_metadata_is_said_though_the_content_is_intact(
    tmp_path: Path, keys: FileKeys
) -> None:
    trail = trail_of()
    trail.metadata[trail.digests[2]]["signature"] = "00" * 256
    report = verified(trail.write(tmp_path / "bucket", signed=True), keys)
    assert [("altered_digest", Path(trail.digests[2]).name)] == found(report)
    assert "metadata" in report.findings[0].why and 8 == report.proven


def test_keys_without_a_fingerprint_are_tried(tmp_path: Path) -> None:
    trail = trail_of()
    _alter_digest(trail)
    folder = trail.write(tmp_path / "bucket", signed=True)
    (tmp_path / "keys").mkdir()
    for name in ("other", "eu"):
        pem = key_pair(name).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (tmp_path / "keys" / f"{name}.pem").write_bytes(pem)
    report = verified(folder, FileKeys([tmp_path / "keys"]))
    assert [("altered_digest", Path(trail.digests[2]).name)] == found(report)[:1]


@pytest.mark.parametrize(("form", "suffix"), [(Encoding.PEM, "pem"), (Encoding.DER, "der")], ids=["pem", "der"])
def test_a_key_file_is_known_by_its_name(form: Encoding, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"{fingerprint('eu')}.{suffix}"
    path.write_bytes(key_pair("eu").public_key().public_bytes(form, PublicFormat.PKCS1))
    candidates = FileKeys([path]).find(fingerprint("eu"), "eu-central-1", NOW, NOW)
    assert candidates.named
    assert [key_pair("eu").public_key().public_numbers()] == [key.public_numbers() for key in candidates.keys]


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.pem", b"nothing", r"a\.pem: no public key"),
        ("a.json", b"{}", r"a\.json: not the output of"),
        ("a.json", b'{"PublicKeyList": [{"Value": "AAAA", "Fingerprint": "00"}]}', r"a\.json: no public key"),
        ("a.txt", b"", r"keys: no public key there"),
    ],
)
def test_a_place_without_a_key_is_named(name: str, data: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / name).write_bytes(data)
    with pytest.raises(PublicKeyError, match=said):
        FileKeys([tmp_path / "keys"])
    with pytest.raises(FileNotFoundError, match="nowhere"):
        FileKeys([tmp_path / "nowhere"])


def test_without_public_keys_the_hashes_are_verified_and_that_is_said_once(tmp_path: Path) -> None:
    class Unreachable:
        def find(self, *_: object) -> None:
            raise OSError("no route to CloudTrail")

    trail = trail_of()
    _alter_log(trail)
    report = verified(trail.write(tmp_path, signed=True), Unreachable())  # type: ignore[arg-type]
    assert ["no_public_keys", "altered_log_file"] == [each.kind for each in report.findings]
    assert "no route to CloudTrail" in report.findings[0].why
    assert (7, 0) == (report.intact, report.proven)


def test_hours_in_which_logging_was_off_are_a_gap(tmp_path: Path, keys: FileKeys) -> None:
    trail = trail_of(3)
    trail.stop(2)
    begun = trail.hour()
    trail.hour()
    report = verified(trail.write(tmp_path, signed=True), keys, last="2026-03-02T09")
    assert [("digest_gap", Path(begun).name)] == found(report)
    assert "2026-03-02T07:10:31Z to 2026-03-02T09:10:31Z" in report.findings[0].why
    assert "warning" == report.severity


def test_log_files_of_a_gap_are_uncovered(tmp_path: Path, keys: FileKeys) -> None:
    trail = trail_of(3)
    trail.log(trail.at + timedelta(minutes=20), "unproven")
    trail.log(trail.at + timedelta(minutes=30), "another")
    trail.stop(2)
    begun = trail.hour()
    trail.hour()
    report = verified(trail.write(tmp_path, signed=True), keys, last="2026-03-02T09")
    kinds = [("digest_gap", Path(begun).name), ("uncovered_log_files", Path(trail.logs[6]).name)]
    assert kinds == found(report)
    assert "2 log files" in report.findings[1].why


def test_a_chain_that_begins_and_hours_without_log_files_are_sound(tmp_path: Path, keys: FileKeys) -> None:
    trail = Trail(at=Trail.at + timedelta(hours=2))
    for logs in (1, 0, 0, 3, 0):
        trail.hour(logs)
    report = verified(trail.write(tmp_path, signed=True), keys, first="2026-03-02T05", last="2026-03-02T10")
    assert ([], 5, 4) == (found(report), report.digests, report.proven)


def test_digests_removed_from_the_end_are_missed(tmp_path: Path, keys: FileKeys) -> None:
    trail = trail_of(4)
    folder = trail.write(tmp_path, signed=True)
    report = verified(folder, keys, last="2026-03-02T09")
    assert [("missing_digest", Path(trail.digests[-1]).name)] == found(report)
    assert "2026-03-02T08:10:31Z to 2026-03-02T10:00:00Z" in report.findings[0].why


def test_a_digest_is_not_missed_before_it_is_due(tmp_path: Path, keys: FileKeys) -> None:
    trail = trail_of(4)  # the newest ends at 08:10
    trail.log(trail.at + timedelta(minutes=5), "fresh")
    folder = trail.write(tmp_path, signed=True)
    due = trail.at + timedelta(hours=2)
    assert [] == found(verified(folder, keys, last="2026-03-02T09", now=due))
    late = verified(folder, keys, last="2026-03-02T09", now=due + timedelta(minutes=30))
    assert [("missing_digest", Path(trail.digests[-1]).name)] == found(late)


def test_digests_before_the_span_may_have_expired(tmp_path: Path, keys: FileKeys) -> None:
    trail = trail_of()
    for key in trail.digests[:1]:
        trail.files.pop(key)
        trail.metadata.pop(key)
    folder = trail.write(tmp_path, signed=True)
    assert [] == found(verified(folder, keys, first="2026-03-02T06"))
    assert [("missing_digest", Path(trail.digests[0]).name)] == found(verified(folder, keys))[:1]


def test_a_folder_without_digests_says_so_once(tmp_path: Path, keys: FileKeys) -> None:
    trail = trail_of()
    for key in trail.digests:
        trail.files.pop(key)
        trail.metadata.pop(key)
    report = verified(trail.write(tmp_path, signed=True), keys)
    assert ["no_digests"] == [each.kind for each in report.findings]
    assert "validation" in report.findings[0].why and 0 == report.log_files


def test_regions_accounts_and_trails_are_chains_of_their_own(tmp_path: Path, keys: FileKeys) -> None:
    kinds: list[dict[str, str]] = [
        {},
        {"name": "second_trail-of.it"},
        {"region": "us-east-1", "key": "us"},
        {"account": "444455556666"},
        {"account": "777788889999", "organisation": "o-exampleorgid"},
    ]
    for at, kind in enumerate(kinds):
        trail = Trail(**kind)  # type: ignore[arg-type]
        trail.logs = [""] * at * 100  # so that names differ
        for _ in range(7):
            trail.hour()
        if kind == kinds[2]:
            trail.files.pop(trail.logs[at * 100 + 3])
        trail.write(tmp_path, signed=False)
    report = verified(tmp_path, keys_of(tmp_path / "keys", "eu", "us"))
    assert 5 == len(report.chains) and {5} == {each.proven for each in report.chains}
    assert {"trail second_trail-of.it of account 111122223333 in eu-central-1"} < {each.chain for each in report.chains}
    assert [("missing_log_file", "us-east-1")] == [
        (each.kind, Path(each.file).name.split("_")[2]) for each in report.findings
    ]


def test_a_backfill_digest_names_what_the_hourly_one_could_not(tmp_path: Path, keys: FileKeys) -> None:
    trail = trail_of()
    late = trail.log(trail.at.replace(hour=6, minute=20), "late")
    assert [("extra_log_file", Path(late).name)] == found(verified(trail.write(tmp_path, signed=True), keys))
    trail.digest(trail.at.replace(hour=6), trail.at.replace(hour=7), [late], backfill=True)
    report = verified(trail.write(tmp_path, signed=True), keys)
    assert ([], 9, 9) == (found(report), report.log_files, report.proven)


def test_a_file_without_a_delivery_time_among_the_log_files_is_extra(tmp_path: Path, keys: FileKeys) -> None:
    trail = trail_of()
    folder = trail.write(tmp_path, signed=True)
    strange = (folder / trail.logs[0]).with_name("planted.json.gz")
    strange.write_bytes(trail.files[trail.logs[0]])
    assert [("extra_log_file", "planted.json.gz")] == found(verified(folder, keys))


@pytest.mark.parametrize(
    ("old", "new"),
    [(b'"SHA256withRSA"', b'"SHA1withRSA"'), (b"T06:10:31Z", b"T06:10:32Z"), (b'"logFiles"', b'"logFolders"')],
)
def test_a_newest_digest_whose_words_were_changed_is_altered(
    old: bytes, new: bytes, tmp_path: Path, keys: FileKeys
) -> None:
    trail = trail_of(2)
    trail.files[trail.digests[-1]] = regzip(trail.files[trail.digests[-1]], old, new)
    report = verified(trail.write(tmp_path, signed=True), keys, last="2026-03-02T05")
    assert ("altered_digest", Path(trail.digests[-1]).name) in found(report)


def test_the_digest_of_another_trail_of_the_same_hour_is_a_copy(tmp_path: Path, keys: FileKeys) -> None:
    trail, other = trail_of(5), trail_of(5, name="quiet-trail")
    newest = trail.digests[-1]
    trail.files[newest], trail.metadata[newest] = other.files[other.digests[-1]], other.metadata[other.digests[-1]]
    report = verified(trail.write(tmp_path / "bucket", signed=True), keys)
    assert ("altered_digest", Path(newest).name) in found(report)
    assert "a copy of another digest" in report.findings[0].why
