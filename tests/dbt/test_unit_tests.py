"""The unit tests that stand beside the mappings pass, and every mapping has some."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from orchestration.dbt.project import load_project
from orchestration.settings import PROJECT

SILVER = PROJECT / "models" / "silver"


def test_the_unit_tests_of_the_mappings_pass(tmp_path: Path) -> None:
    words = ["test", "--select", "test_type:unit", "--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)]
    target = tmp_path / "target"
    target.mkdir()
    load_project()
    shutil.copy(PROJECT / "target/partial_parse.msgpack", target)  # parsed once for all tests of this checkout
    places = ["--target-path", str(target), "--log-path", str(tmp_path / "logs")]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADWATER_")}
    said = subprocess.run(
        [Path(sys.executable).parent / "dbt", "--no-use-colors", *words, *places],
        env=kept | {"HEADWATER_LAKE": str(tmp_path / "lake")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stdout[-4000:]
    done = re.search(r"Done\. PASS=(\d+) ", said.stdout)
    assert done, said.stdout[-1000:]
    assert int(done[1]) >= 57


def test_every_mapping_has_a_unit_test() -> None:
    tested = {
        each["model"]
        for path in SILVER.glob("*/*.yml")
        for each in (yaml.safe_load(path.read_text()) or {}).get("unit_tests", [])
    }
    mappings = {path.stem for path in SILVER.glob("*/*__*.sql") if path.parent.name != "dispositions"}
    assert mappings - tested == set()
