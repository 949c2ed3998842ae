"""What else may be bad than a record: files after a power loss, names and paths, settings, kills; counted by kind.

Each case is a command on a small lake in this process; its neighbour is another source, another file or another entry.
"""

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.fuzz.counted import Counted
from tests.fuzz.damage import power_loss
from tests.integration import okta_logs
from tests.integration.lakes import rows
from tests.integration.okta_logs import SOURCE

NAMES = (
    *("'", '"', "a b", "[x]", "*", "?", "%41", "ü", "\u202ex", "-rf", "source=x", "date=1", "hour=99", "a\nb", "$(id)"),
    *("{}", ";", "&", "#", "~", "\\", "..x", "x" * 200, ".hidden", "\x1b[2J", "a\tb", "`id`", "|", ",", "\u2028"),
)
_SETTINGS = """lake: lake
memory: 1GiB
threads: 2
partitions_start: "2026-01-01T00"
sources:
  okta_system_log: {root: in}
  aws_cloudtrail: {root: in}
destinations:
  files: {type: files, root: out}
reference:
  feeds:
    hostile: {type: indicators, path: list.txt}
csv_escape_formulas: true
"""
_PIECES = (
    "",
    " ",
    ":",
    "- ",
    "{",
    "}",
    "[",
    "'",
    '"',
    "\t",
    "\0",
    "&a ",
    "*a",
    "!!python/object:os ",
    "1KB",
    "null",
    "é",
)


def all_kinds(work: Path, seed: int, scale: int) -> Iterator[Counted]:
    """Yield the counts of each kind, done in a folder; `scale` times as many kills and settings files."""
    delivered = okta_logs.delivery(work / "delivered")
    kinds = (
        partial(power_loss, work / "loss", delivered, build=scale > 1),
        partial(names, work / "names"),
        partial(settings_files, work / "settings", random.Random(seed), 40 * scale),
        partial(kills, work / "kills", delivered, random.Random(seed), 16 * scale),
    )
    for kind in kinds:
        with _standing_in(work):  # none has the settings of another
            counted = kind()
        yield counted


@contextmanager
def _standing_in(folder: Path) -> Iterator[None]:
    """Work in a folder, with variables of its own."""
    before, here = dict(os.environ), Path.cwd()
    folder.mkdir(parents=True, exist_ok=True)
    for name in [each for each in os.environ if each.startswith("HEADWATER_")]:
        del os.environ[name]
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(here)
        os.environ.clear()
        os.environ.update(before)


def names(work: Path) -> Counted:
    """Odd names of files, folders and lakes: what is bad is told, and the file beside it lands."""
    counted = Counted("odd names and paths")
    for number, name in enumerate(NAMES):
        folder = work / str(number)
        os.environ["HEADWATER_LAKE"] = str(folder / "lake")
        for place in (folder / "in" / f"{name}.ndjson", folder / "in" / name / "x.ndjson"):
            okta_logs.write(place, [okta_logs.event(f"odd-{place.parent.name == name}")])
        okta_logs.write(folder / "in/plain.ndjson", [okta_logs.event("plain")])
        said = counted.run(repr(name), "land", SOURCE, folder / "in", "--json", allowed=(0, 1))
        if said is not None and said.out.startswith("{"):
            landed, passed = said.json["landed"], len(said.json["ignored"]) + len(said.json["unreadable"])
            if not landed:
                counted.stopped.append(f"{name!r}: the file beside it did not land")
            if landed + passed < 3:
                counted.untold.append(f"{name!r}: {landed} of 3 landed, {passed} were told")
        os.environ["HEADWATER_LAKE"] = str(folder / name / "lake")
        counted.run(f"lake below {name!r}", "land", SOURCE, folder / "in/plain.ndjson", allowed=(0, 2))
        counted.run(f"lake below {name!r}", "query", f"select count(*) from bronze.{SOURCE}", allowed=(0, 2))
    return counted


def settings_files(work: Path, randomly: random.Random, number: int) -> Counted:
    """Settings files with lines that were changed: they work, or a sentence names the file."""
    counted = Counted("generated settings files")
    work.mkdir(parents=True)
    file = work / "headwater.yml"
    os.environ.pop("HEADWATER_LAKE", None)
    os.environ["HEADWATER_CONFIG"] = str(file)
    for each in range(number):
        text = _SETTINGS
        for _ in range(randomly.choice((1, 1, 2, 4))):
            at, act = randomly.randrange(len(text)), randomly.random()
            cut = text[at : at + randomly.randrange(12)] if act < 0.4 else ""
            text = text[:at] + randomly.choice(_PIECES) + text[at + len(cut) :]
            if act > 0.8:
                lines = text.splitlines(keepends=True)
                text = "".join([*lines, randomly.choice(lines or [""])])
        file.write_text(text)
        for words in (("sources",), ("balance",), ("export", "status")):
            said = counted.run(f"settings {each}", *words, allowed=(0, 1, 2))
            if said is not None and said.code == 2 and not said.out + said.err:
                counted.untold.append(f"settings {each}: {words[0]} said nothing")
    del os.environ["HEADWATER_CONFIG"]
    return counted


def kills(work: Path, delivered: Path, randomly: random.Random, number: int) -> Counted:
    """Landing killed at random moments and started again: the lake is as if it had never been killed."""
    counted = Counted("kills")
    os.environ["HEADWATER_LAKE"] = str(work / "whole")
    counted.run("unkilled", "land", SOURCE, delivered, allowed=(0,))
    whole = rows(work / "whole")
    command = [sys.executable, "-c", "from orchestration.cli import main; main()", "land", SOURCE, str(delivered)]
    began = time.monotonic()
    subprocess.run(command, env=os.environ | {"HEADWATER_LAKE": str(work / "timed")}, capture_output=True, check=False)
    takes = time.monotonic() - began
    for each in range(number):
        lake = work / str(each)
        os.environ["HEADWATER_LAKE"] = str(lake)
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(takes * randomly.uniform(0.4, 1.0))
        child.kill()
        child.wait()
        said = counted.run(f"kill {each}", "land", SOURCE, delivered, allowed=(0,))
        if said is not None and rows(lake) != whole:
            counted.untold.append(f"kill {each}: the lake holds other rows than without the kill")
        counted.run(f"kill {each}", "verify", "lake", allowed=(0,))
    return counted
