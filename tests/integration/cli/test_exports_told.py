"""Exports on the command line: what is pushed, how it stands, what is asked again, and the balance sheet's columns."""

import json
import shutil
from pathlib import Path

import pytest

from tests.integration.lakes import headwater
from tests.integration.okta_logs import SOURCE


@pytest.fixture
def own_lake(okta_lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the built lake, with a folder as its destination `files`."""
    shutil.copytree(okta_lake, tmp_path / "lake")
    monkeypatch.delenv("HEADWATER_LAKE")
    settings = {"lake": "lake", "destinations": {"files": {"type": "files", "root": "out", "format": "ndjson"}}}
    (tmp_path / "headwater.yml").write_text(json.dumps(settings))
    return tmp_path


def test_what_is_behind_is_told_pushed_and_asked_again(own_lake: Path) -> None:
    before = headwater("export", "status", "--destination", "files", "--json")
    tables = [each for each in before.json if each["behind"]]
    assert 0 == before.code and {"behind"} == {each["state"] for each in tables}
    assert all(each["oldest_waits_seconds"] >= 0 and each["oldest_waits_since"] for each in tables)
    assert {"never pushed"} == {hour["why"] for each in tables for hour in each["behind"]}

    pushed = headwater("export", "push", "--json")
    assert 0 == pushed.code, pushed.err
    rows = {each["table"]: each["rows"] for each in pushed.json}
    lines = {path: sum(1 for _ in path.open()) for path in own_lake.glob("out/*/date=*/hour=*/part.ndjson")}
    assert sum(rows.values()) == sum(lines.values()) > 0
    assert "nothing was behind" in headwater("export", "push").out

    (shown,) = [
        each for each in headwater("export", "status", "--table", "authentication", "--json").json if each["type"]
    ]
    assert ("current", rows["authentication"]) == (shown["state"], shown["rows"])
    assert 0 == headwater("export", "verify").code

    (file, count) = next(iter(lines.items()))
    file.write_text("".join(file.open().readlines()[:-1]))
    said = headwater("export", "verify", "--json")
    (wrong,) = [each for each in said.json if each["state"] != "same"]
    assert 1 == said.code and f"{count - 1} rows are there, the receipt says {count}" in wrong["state"]
    assert "headwater export push --again --destination files" in wrong["state"]


def test_files_that_were_delivered_are_read_again_byte_by_byte(own_lake: Path) -> None:
    assert 0 == headwater("export", "push").code
    files = sorted(own_lake.glob("out/*/date=*/hour=*/part.ndjson"))
    sound = headwater("verify", "lake", "--json")
    assert (0, len(files)) == (sound.code, sound.json["counts"]["exported file"]["read"]), sound.out
    zeroed, changed, gone = files[:3]
    zeroed.write_bytes(bytes(zeroed.stat().st_size))
    text = changed.read_text()
    changed.write_text(text.replace("198.51.100.7", "198.51.100.8"))  # rows and their keys are the same
    gone.unlink()
    said = headwater("verify", "lake", "--json")
    found = {each["key"]: each["found"] for each in said.json["damage"]}
    words = {zeroed: "holds only zeros", changed: "holds other bytes than were delivered", gone: "is missing"}
    assert (1, {str(file): word for file, word in words.items()}) == (said.code, found)
    assert all(
        "headwater export push --again --destination files --table" in each["advice"] for each in said.json["damage"]
    )
    asked = headwater("export", "verify", "--json")
    wrong = [each["state"] for each in asked.json if each["state"] != "same"]
    assert 1 == asked.code and 3 == len(wrong), "a file that cannot be read stops no other from being asked for"
    assert 2 == sum("holds" in each for each in wrong) and all(
        "push it again: headwater export push" in each for each in wrong
    )

    assert 0 == headwater("export", "push", "--again").code
    assert 0 == headwater("verify", "lake").code
    for receipt in own_lake.glob("lake/ledger/export/files/*/*.json"):  # as they were written before
        days = json.loads(receipt.read_text())
        receipt.write_text(json.dumps({hour: {**each, "digests": {}} for hour, each in days.items()}))
    counts = headwater("verify", "lake", "--json").json["counts"]["exported file"]
    assert (len(files), 0) == (counts["not_checked"], counts["read"])


def test_a_reason_is_told_once_for_all_hours_and_tables_that_it_keeps_behind(
    own_lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HEADWATER_SPLUNK_TOKEN", raising=False)
    settings = json.loads((own_lake / "headwater.yml").read_text())
    settings["destinations"] = {"splunk": {"type": "splunk", "url": "http://127.0.0.1:9"}}
    (own_lake / "headwater.yml").write_text(json.dumps(settings))
    said = headwater("export", "push", "--destination", "splunk")
    (told,) = [line for line in said.out.splitlines() if "HEADWATER_SPLUNK_TOKEN is not set" in line]
    assert 1 == said.code and told.startswith("splunk/authentication, ") and "nothing was behind" not in said.out
    assert "hours were not delivered: they are in the lake, and stay behind" in said.out
    for command in (("export", "status", "--destination", "splunk"), ("doctor",)):
        said = headwater(*command)
        assert 1 == said.code and 1 == said.out.count("the variable HEADWATER_SPLUNK_TOKEN is not set"), said.out


def test_a_destination_that_does_not_answer_is_an_error_of_the_doctor_and_of_verify(own_lake: Path) -> None:
    assert 0 == headwater("export", "push", "--table", "authentication").code
    assert (
        "ok      destination files" in headwater("doctor").out or "note    destination files" in headwater("doctor").out
    )
    shutil.rmtree(own_lake / "out")
    (own_lake / "out").write_text("no folder")
    said = headwater("doctor")
    assert 1 == said.code and "error   destination files: " in said.out
    said = headwater("export", "verify", "--destination", "files")
    assert 1 == said.code and "is a file, expected a folder" in said.out


def test_hours_that_were_delivered_to_another_place_are_not_asked_for_here(own_lake: Path) -> None:
    assert 0 == headwater("export", "push", "--table", "authentication").code
    settings = json.loads((own_lake / "headwater.yml").read_text())
    settings["destinations"]["files"]["root"] = "moved"
    (own_lake / "headwater.yml").write_text(json.dumps(settings))
    said = headwater("export", "verify")
    assert 0 == said.code and "hours were delivered to another place" in said.out
    assert "another destination" in headwater("export", "status", "--destination", "files").out


def test_a_destination_that_is_not_configured_is_told_and_no_error(own_lake: Path) -> None:
    said = headwater("export", "status")
    assert 0 == said.code and "snowflake: declared by models, not configured" in said.out
    assert (
        "snowflake: declared by models, not configured" in headwater("export", "push", "--table", "authentication").out
    )


def test_a_name_that_is_not_declared_is_named_with_those_that_are(own_lake: Path) -> None:
    said = headwater("export", "push", "--table", "nowhere")
    assert 2 == said.code and "no exported table 'nowhere' is declared; there are authentication" in said.err


def test_the_balance_tells_what_is_delivered_and_a_mismatch_fails_it(
    own_lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {} == headwater("balance", "--json").json["total"]["delivered"]
    assert 0 == headwater("export", "push").code
    said = headwater("balance", "--json", "--by-hour")
    (source,) = said.json["sources"]
    assert 0 == said.code and {"files": source["published"]} == source["delivered"]
    assert all(row["published"] == row["delivered"].get("files", 0) for row in said.json["hours"])
    assert "delivered" in headwater("balance").out

    (receipts,) = own_lake.glob("lake/ledger/export/files/authentication/*.json")
    held = json.loads(receipts.read_text())
    hour = next(iter(held))
    held[hour]["held_rows"] -= 1
    receipts.write_text(json.dumps(held))
    said = headwater("balance")
    assert 1 == said.code and f"files/authentication {hour}: " in said.out
    status = headwater("export", "status", "--destination", "files")
    assert 1 == status.code and f"files/authentication {hour}: " in status.out
    assert 0 == headwater("export", "push").code  # a mismatch is behind, and heals
    assert 0 == headwater("balance").code


def test_erased_records_leave_the_destinations_that_hold_them(own_lake: Path) -> None:
    assert 0 == headwater("export", "push").code
    texts = lambda: "".join(path.read_text() for path in sorted(own_lake.glob("out/**/part.ndjson")))  # noqa: E731
    (uid,) = headwater("query", "--json", f"select min(uuid) as uid from bronze.{SOURCE}").json
    assert uid["uid"] in texts()
    said = headwater("erase", SOURCE, "--where", f"uuid = '{uid['uid']}'", "--reason", "asked", "--apply")
    assert 0 == said.code, said.out + said.err
    assert uid["uid"] not in texts()
    assert 0 == headwater("export", "verify").code
