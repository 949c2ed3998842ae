"""Files of a lake after a power loss: each kind of them emptied, cut, zeroed, missing; counted by what commands say."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec

from lake.storage.publish import Change, open_store
from lake.upkeep.repair import repair
from tests.fuzz.counted import Counted
from tests.integration.okta_logs import SOURCE

FEED, TABLE, MART = "hostile", "authentication", "user_sign_ins"
FILES = {
    "bronze": f"bronze/{SOURCE}/*/hour=04/*.parquet",
    "quarantine": f"quarantine/{SOURCE}/*/*/*.parquet",
    "silver": f"silver/{TABLE}/source={SOURCE}/*/hour=04/*.parquet",
    "gold": f"gold/{MART}/*/hour=04/*.parquet",
    "index": f"index/*/source={SOURCE}/*/hour=04/*.parquet",
    "outcomes": f"ledger/dispositions/source={SOURCE}/*/hour=04/*.parquet",
    "landing receipt": f"ledger/landing/{SOURCE}/*.json",
    "build receipt": f"ledger/build/{TABLE}__{SOURCE}/*.json",
    "receipt of a mart": f"ledger/build/{MART}/*.json",
    "fingerprints": f"ledger/made_by/{TABLE}__{SOURCE}/*.json",
    "reference table": f"reference/indicators/feed={FEED}/*/rows.parquet",
    "reference receipt": f"ledger/reference/indicators/{FEED}/current.json",
    "ended indicators": "ledger/retro/ends.json",
    "journal entry": "_journal/*.json",
    "export receipt": f"ledger/export/files/{TABLE}/*.json",
    "exported file": f"../out/{TABLE}/*/hour=04/part.parquet",
    "Iceberg catalogue": "iceberg/catalog.db",
    "Iceberg metadata": f"iceberg/silver/{TABLE}/metadata/00001-*.metadata.json",
    "Iceberg manifest": f"iceberg/silver/{TABLE}/metadata/*-m0.avro",
    "Iceberg rows": f"iceberg/silver/{TABLE}/data/*/*/hour=04/*.parquet",
    "Iceberg receipt": f"ledger/iceberg/silver/{TABLE}/date=*.json",
}
# Nothing is lost without these: hours are built again, tables published again, and a change happens wholly or not.
NOTHING_LOST = {
    ("fingerprints", None),
    ("journal entry", "missing"),
    ("Iceberg receipt", None),
    ("ended indicators", None),
    ("Iceberg catalogue", "missing"),
    ("export receipt", "missing"),
}
# What is told of a file that is gone and that no other file names: what it was the receipt of.
INSTEAD = {
    "landing receipt": lambda file: f"{file.stem}.parquet is named by no landing receipt",
    "build receipt": lambda file: f"silver/{TABLE}/source={SOURCE}/{file.stem}/hour=04/part.parquet is named by no",
    "receipt of a mart": lambda file: f"gold/{MART}/{file.stem}/hour=04/part.parquet is named by no build receipt",
    "exported file": lambda file: "2026-03-02T04",
}
DAMAGES: dict[str, Callable[[bytes], bytes | None]] = {
    "emptied": lambda whole: b"",
    "cut": lambda whole: whole[: len(whole) // 2],
    "zeroed": lambda whole: bytes(len(whole)),
    "missing": lambda whole: None,
}
READING = (
    ("balance",),
    ("sources",),
    ("tables",),
    ("quarantine", "list"),
    ("query", f"select count(*), max(_raw) from bronze.{SOURCE}"),
    ("query", f"select count(*), max(unmapped) from silver.{TABLE}"),
    ("query", f"select count(*), max(t::varchar) from gold.{MART} as t"),
    ("query", "select count(*) from ledger.dispositions"),
    ("query", "select count(*), max(uid) from reference.indicators"),
    ("reference", "list"),
    ("match",),
    ("build", "--dry-run", "--source", SOURCE),
    ("compact", "--dry-run"),
    ("retain",),
    ("export", "status"),
    ("export", "verify"),
    ("iceberg", "list"),
    ("iceberg", "publish", "--table", TABLE),
    ("verify", "lake"),
)
_NEIGHBOUR = ("query", "select count(*) from bronze.aws_cloudtrail")
_SETTINGS = f"""threads: 2
destinations:
  files: {{type: files, root: out}}
reference:
  feeds:
    {FEED}: {{table: indicators, format: plain, path: list.txt}}
"""


def power_loss(work: Path, delivered: Path, build: bool = False) -> Counted:
    """Each kind of file of a built lake damaged; then what reads, lands, builds, delivers, verifies and repairs.

    With `build` every state is built as well, which takes a dbt run where the damage makes something stale.
    """
    counted, whole, place = Counted("power-loss states"), work / "whole", work / "place"
    _whole_lake(counted, place, delivered)
    place.rename(whole)
    for kind, pattern in FILES.items():
        file = next(iter(sorted((whole / "lake").glob(pattern))), None)
        if file is None:
            counted.untold.append(f"{kind}: the lake has no such file, so it was not tried")
            continue
        for damage, changed in DAMAGES.items():
            what = f"{kind} {damage}"
            shutil.copytree(whole, place, copy_function=shutil.copy2)  # where it was made: Iceberg has whole addresses
            _stand_in(place)
            if kind != "journal entry":
                shutil.rmtree(place / "lake/_journal")
                shutil.rmtree(place / "lake/_staging")
            bad, text = place / os.path.relpath(file, whole), changed(file.read_bytes())
            told = False
            building = (("build", "--source", SOURCE),) if build else ()
            for words in (*READING, ("land", SOURCE, delivered), *building):
                bad.unlink(missing_ok=True)  # verifying may have put it aside
                if text is not None:
                    bad.parent.mkdir(parents=True, exist_ok=True)
                    bad.write_bytes(text)
                said = counted.run(what, *words)
                sought = INSTEAD[kind](file) if text is None and kind in INSTEAD else bad.name
                told |= said is not None and bool(said.code) and sought in said.out + said.err
            other = counted.run(what, *_NEIGHBOUR)
            if other is not None and other.code and kind != "journal entry":  # of that all commands tell, and answer
                counted.stopped.append(f"{what}: {other.err[:200]}")
            if not told and not {(kind, None), (kind, damage)} & NOTHING_LOST:
                counted.untold.append(f"{what}: no command named {bad.name}")
            counted.act(what, lambda: list(repair(open_store(place / "lake"))))  # as `headwater doctor --repair` does
            shutil.rmtree(place)
    return counted


def _stand_in(place: Path) -> None:
    os.chdir(place)
    os.environ["HEADWATER_LAKE"] = str(place / "lake")
    os.environ["HEADWATER_CONFIG"] = str(place / "headwater.yml")


def _whole_lake(counted: Counted, place: Path, delivered: Path) -> None:
    """Make a lake that has a file of each kind: landed, built, matched, delivered, and a change that was journaled."""
    place.mkdir(parents=True, exist_ok=True)
    (place / "headwater.yml").write_text(_SETTINGS)
    (place / "list.txt").write_text("198.51.100.7\n")
    _stand_in(place)
    for words in (
        ("land", SOURCE, delivered),
        ("build", "--source", SOURCE),
        ("match",),
        ("export", "push", "--destination", "files", "--table", TABLE),
        ("iceberg", "publish", "--table", TABLE),
    ):
        counted.run("sound", *words, allowed=(0,))
    _journaled(place)


def _journaled(place: Path) -> None:
    """Leave an entry of the journal, as a process that was killed while it published does."""
    staged, key = "_staging/killed/part.parquet", f"silver/killed/source={SOURCE}/date=2026-03-02/hour=04/part.parquet"
    (place / "lake" / staged).parent.mkdir(parents=True)
    (place / "lake" / staged).write_bytes(b"PAR1")
    (place / "lake/_journal").mkdir(exist_ok=True)
    change = msgspec.json.encode(Change(moves=((staged, key),)))
    (place / "lake/_journal/00000000000000000001-killed.json").write_bytes(change)
