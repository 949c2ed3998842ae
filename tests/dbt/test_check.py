"""`headwater check`: all that a user writes is validated in one pass, and every problem is named by its file."""

import json
import shutil
from pathlib import Path

import pytest

from orchestration.dbt import project as reading
from orchestration.steps import check
from orchestration.steps.check import problems, project_problems
from tests.integration import okta_logs
from tests.integration.lakes import headwater

PRODUCT = """
apiVersion: v3.2.0
kind: DataContract
id: p
name: signins
version: 1.0.0
status: active
schema:
  - name: signins
    properties: [{name: uid, logicalType: string}, {name: gone, logicalType: string}]
    quality:
      - {name: few, type: sql, query: "select count(*) from ${object}", mustBeLessThan: 3}
      - {name: odd, type: sql, query: "select count(nothing) from ${object}", mustBe: 0}
"""
BASE = f"models/silver/base_event/base_event__{okta_logs.SOURCE}"
SIGN_INS = "select time_dt as _event_at, metadata.uid as uid from {{ ref('authentication__okta_system_log') }}"
# file → text, and what is said of it: all of these at once
WRONG = {
    "models/gold/jinja.sql": ("select {{ nothing( }}", "unexpected '}'"),
    "models/gold/undefined.sql": (SIGN_INS + " where {{ nothing() }}", "'nothing' is undefined"),
    "models/gold/syntax.sql": (SIGN_INS.replace("select", "selec"), "syntax error"),
    "models/gold/unbound.sql": (SIGN_INS.replace("time_dt", "time_dd"), '"time_dd" not found'),
    "models/gold/timeless.sql": (SIGN_INS.replace("_event_at", "at"), "lacks the column _event_at"),
    "models/gold/unread.sql": ("select 1 from {{ ref('authenticatoin') }}", "'authenticatoin' which was not found"),
    f"{BASE}.sql": ("select 1 as no_such_attribute, metadata from {{ ref('okta_system_log') }}", "no_such_attribute"),
    "models/gold/exported.sql": (SIGN_INS, "meta.exports[0]: unknown field `destination`"),
    "models/gold/exported.yml": (json.dumps({"models": [
        {"name": "exported", "config": {"meta": {"exports": [{"destination": "x"}]}}}]}), ""),
    "models/gold/signins.sql": (SIGN_INS, ""),
    "models/gold/signins.yml": ("modles: [{name: signins}]\n", "unknown key 'modles'; is models meant?"),
    "models/gold/others.yml": ("models: [{name: signnis}]\n", "describes signnis, and there is no such model"),
    "products/signins.odcs.yaml": (PRODUCT, "field gone: "),
    "products/missing.odcs.yaml": (PRODUCT.replace("signins", "missing"), "there is no model of this name in gold"),
    "products/empty.odcs.yaml": ("", "not ODCS v3"),
}  # fmt: skip


@pytest.fixture
def copied(okta_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small project, whose routes lead to the models that it has."""
    folder = Path(shutil.copytree(okta_project, tmp_path / "project"))
    shutil.rmtree(folder / "products")
    seed = folder / "seeds/ocsf_routing.csv"
    lines = seed.read_text().splitlines(keepends=True)
    seed.write_text("".join([lines[0], *(line for line in lines if line.startswith("okta") and ",3002," in line)]))
    monkeypatch.setattr(reading, "PROJECT", folder)
    monkeypatch.setattr(check, "PROJECT", folder)
    monkeypatch.chdir(tmp_path)
    return folder


def test_a_sound_project_has_no_problem(copied: Path) -> None:
    assert [] == list(project_problems(copied))


def test_every_problem_is_named(copied: Path) -> None:
    for file, (text, _) in WRONG.items():
        (copied / file).parent.mkdir(exist_ok=True)
        (copied / file).write_text(text)
    with (copied / "seeds/ocsf_routing.csv").open("a") as seed:
        seed.write("okta_system_log,a,9999,,\nokta_system_log,b\n")
    found = list(project_problems(copied))
    said = [f"{each.file}: {each.reason}" for each in found]
    for file, (_, why) in WRONG.items():
        assert not why or [each for each in said if each.startswith(f"{copied}/{file}: ") and why in each], file
    assert any("rule odd: " in each for each in said) and not any("rule few" in each for each in said)
    assert 2 == sum("ocsf_routing.csv:" in each for each in said)
    assert all(each.advice for each in found)
    assert not any("authentication__" in each.file for each in found), "what is sound is not named"


def test_settings_and_the_exit_code(copied: Path, tmp_path: Path) -> None:
    (tmp_path / "headwater.yml").write_text("memory: much\n")
    (found,) = problems()
    assert ("settings", str(tmp_path / "headwater.yml")) == (found.kind, found.file) and "memory" in found.reason
    said = headwater("check", "--json")
    assert (1, "settings") == (said.code, said.json[0]["kind"])
    (tmp_path / "headwater.yml").write_text("memory: 1GiB\n")
    said = headwater("check")
    assert (0, "settings, contracts, products, models and routes are sound\n") == (said.code, said.out)
