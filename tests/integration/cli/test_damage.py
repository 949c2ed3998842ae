"""Whatever file of a lake is damaged: commands name it in a sentence, answer of the others, and end with their code."""

import shutil
from pathlib import Path

import pytest

from lake.base.errors import tell_omission, warn_once
from lake.storage.publish import open_store
from lake.upkeep.repair import repair
from tests.integration.lakes import Said, headwater
from tests.integration.okta_logs import SOURCE

KINDS = {
    "bronze": f"bronze/{SOURCE}/*/hour=04/*.parquet",
    "quarantine": f"quarantine/{SOURCE}/*/*/*.parquet",
    "silver": f"silver/authentication/source={SOURCE}/*/hour=04/*.parquet",
    "outcomes": f"ledger/dispositions/source={SOURCE}/*/hour=04/*.parquet",
    "landing": f"ledger/landing/{SOURCE}/*.json",
    "build": f"ledger/build/authentication__{SOURCE}/*.json",
    "made_by": f"ledger/made_by/authentication__{SOURCE}/*.json",
}
COMMANDS = {
    "balance": ("balance",),
    "bronze": ("query", f"select count(*), max(_raw) from bronze.{SOURCE}"),
    "silver": ("query", 'select count(*), max("user") from silver.authentication'),
    "quarantine": ("query", f"select count(*), max(_raw) from quarantine.{SOURCE}"),
    "outcomes": ("query", "select count(*), max(_batch) from ledger.dispositions"),
    "other": ("query", "select count(*) from bronze.aws_cloudtrail"),
    "sources": ("sources",),
    "list": ("quarantine", "list"),
    "due": ("build", "--dry-run", "--source", SOURCE),
    "compact": ("compact", "--dry-run"),
    "retain": ("retain",),
    "verify": ("verify", "lake"),
}
# Which commands need a file, and so name it and end with 1. A receipt that is gone is told by the files that it named.
NAMED_BY = {
    "bronze": {"balance", "bronze", "verify"},
    "quarantine": {"balance", "quarantine", "list", "verify"},
    "silver": {"balance", "silver", "verify"},
    "outcomes": {"balance", "outcomes", "verify"},
    "landing": {"balance", "bronze", "quarantine", "outcomes", "sources", "list", "due", "compact", "retain", "verify"},
    "build": {"balance", "verify"},
    "made_by": {"verify"},
}
FILES = {"bronze", "quarantine", "silver", "outcomes"}
GARBAGE = b"\xff\xfe{ garbage"


@pytest.fixture
def damaged(okta_lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the built lake that a test may damage."""
    shutil.copytree(okta_lake, tmp_path / "lake", copy_function=shutil.copy2)
    monkeypatch.setenv("HEADWATER_LAKE", str(tmp_path / "lake"))
    return tmp_path / "lake"


def said(*words: object) -> Said:
    """Run a command; an exception that is no sentence leaves it and fails the test."""
    tell_omission.cache_clear()
    warn_once.cache_clear()
    return headwater(*words)


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_named_and_stops_only_what_needs_it(storm: bool, damaged: Path, kind: str) -> None:
    (file, *_) = sorted(damaged.glob(KINDS[kind]))
    whole = file.read_bytes()
    for damage in (bytes(len(whole)), whole[: len(whole) // 2], *((GARBAGE, b"") if storm else ())):
        for name, words in COMMANDS.items():
            file.write_bytes(damage)  # verifying puts some aside
            told = said(*words)
            # Bytes of the right number are told by who reads them, not by a sheet that compares sizes.
            unseen = name == "balance" and kind in FILES and len(damage) == len(whole)
            must = name in NAMED_BY[kind] and not unseen
            assert told.code == int(must), (name, damage[:10], told.out + told.err)
            if must:
                assert file.name in told.out + told.err, (name, damage[:10], told.out + told.err)
    file.write_bytes(whole)
    assert said("verify", "lake").code == 0


@pytest.mark.parametrize("kind", [each for each in KINDS if each != "made_by"])
def test_a_file_that_is_gone_is_told_and_the_rest_answers(damaged: Path, kind: str) -> None:
    (file, *_) = sorted(damaged.glob(KINDS[kind]))
    file.unlink()
    for name in ("other", "sources", "list" if kind not in ("quarantine", "landing") else "other"):
        assert said(*COMMANDS[name]).code == 0, name
    assert said("verify", "lake").code == said("balance").code == 1
    assert (said("verify", "lake").out.count("is missing") == 1) == (kind not in ("landing", "build"))


def test_the_rows_of_sound_hours_are_answered(damaged: Path) -> None:
    counted = ("query", "--json", f"select count(*)::int n from bronze.{SOURCE}")
    whole = said(*counted).json[0]["n"]
    (file,) = damaged.glob(KINDS["bronze"])
    file.write_bytes(GARBAGE)
    told = said(*counted)
    assert 0 < told.json[0]["n"] < whole
    assert "left out: bronze/" in told.err and "headwater land" in told.err


def test_what_is_repaired_landed_and_built_again_balances(damaged: Path, okta_lake: Path) -> None:
    """One file of every kind is zeroed or gone at once."""
    for number, pattern in enumerate(KINDS.values()):
        file = sorted(damaged.glob(pattern))[0]
        file.write_bytes(bytes(file.stat().st_size))
        if number % 2:
            file.unlink()
    assert said("balance").code == 1
    assert all(each.done for each in repair(open_store(damaged)))
    assert said("land", SOURCE, okta_lake.parent / "delivered").code == 0
    built = said("build", "--source", SOURCE)
    assert built.code == 0, built.err
    assert said("balance").code == 0, said("balance").out
    assert said("verify", "lake").code == 0, said("verify", "lake").out
