"""One CloudTrail file from the command line to bronze loads the modules that ingest/README.md lists, and no more."""

import gzip
import json
import re
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).parents[4]
MOST = 25  # modules that somebody reads who follows one file
RECORD = {"eventID": "e1", "eventTime": "2026-03-02T05:00:00Z", "eventName": "GetObject", "awsRegion": "us-east-1"}
# Modules that define nothing (packages that only name what their modules have) are no station on the way.
LANDING = """
import ast, sys
from pathlib import Path
from orchestration.cli import main

sys.argv = ["headwater", "land", "aws_cloudtrail", sys.argv[1]]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
for name, module in sorted(sys.modules.items()):
    if name.split(".")[0] in ("ingest", "lake", "orchestration"):
        body = ast.parse(Path(module.__file__).read_text()).body
        names = [each for each in body if not isinstance(each, (ast.Expr, ast.Import, ast.ImportFrom))]
        if any(ast.unparse(each).split(" = ")[0] != "__all__" for each in names):
            print("loaded", name)
"""


def test_a_plain_file_loads_what_the_readme_lists_and_no_more(tmp_path: Path) -> None:
    file = tmp_path / "111122223333_CloudTrail_us-east-1_20260302T0505Z_x.json.gz"
    file.write_bytes(gzip.compress(json.dumps({"Records": [RECORD]}).encode()))
    found = subprocess.run(
        [sys.executable, "-c", LANDING, str(file)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(TOP), "HEADWATER_LAKE": str(tmp_path / "lake"), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "1 read = 1 landed + 0 quarantined" in found.stdout
    loaded = re.findall(r"^loaded (.+)$", found.stdout, re.MULTILINE)
    assert len(loaded) <= MOST
    section = (TOP / "ingest" / "README.md").read_text().split("## The way of one file\n")[1].split("\n## ")[0]
    assert sorted(re.findall(r"`((?:ingest|lake|orchestration)\.[\w.]+)`", section)) == loaded
