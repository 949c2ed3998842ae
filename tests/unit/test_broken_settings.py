"""A source, destination, feed or lookup whose settings cannot be used stops itself alone."""

import logging
from pathlib import Path

import pytest

from orchestration.settings import SettingsError, access_of, load_settings

WHOLE = """
sources: {aws_cloudtrail: {root: logs}}
destinations: {files: {type: files, root: out}}
reference: {feeds: {listed: {table: indicators, format: plain, path: a.txt}}}
lookups: {}
"""
BROKEN = {
    "sources.aws_vpc_flow": ("{root: 'gs://x'}", "sources.aws_vpc_flow.root: 'gs://x': expected a folder or s3:"),
    "sources.aws_guardduty": ("{root: 's3://'}", "sources.aws_guardduty.root: 's3://': expected a folder or s3:"),
    "sources.okta_system_log": ("{orgs: x}", "sources.okta_system_log.base_url: "),
    "sources.windows_event": ("5", "sources.windows_event: expected `key: value` lines below it"),
    "destinations.other": ("{type: nope}", "destinations.other: 'nope' is no type"),
    "destinations.text": ("files", "destinations.text: expected `key: value` lines below it"),
    "reference.feeds.odd": ("{table: indicators, format: plain}", "reference.feeds.odd: format plain needs a path"),
    "reference.feeds.late": (
        "{table: indicators, format: plain, path: a.txt, refresh: 61 * * * *}",
        "reference.feeds.late.refresh: '61 * * * *' is no cron schedule",
    ),
    "reference.feeds.A b": ("{table: indicators, format: plain, path: a.txt}", "'A b' cannot be used as a name"),
    "lookups.abuse": ("{type: nope}", "lookups.abuse: 'nope' is no type"),
}


@pytest.mark.parametrize("place", BROKEN)
def test_the_others_stay(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    given, why = BROKEN[place]
    group, name = place.rsplit(".", 1)
    first = f"{group.rsplit('.', 1)[-1]}: {{"
    file = tmp_path / "headwater.yml"
    monkeypatch.chdir(tmp_path)
    file.write_text(WHOLE)
    whole = load_settings()
    added = f"{first}'{name}': {given}" + ("" if group == "lookups" else ", ")
    file.write_text(WHOLE.replace(first, added))
    with caplog.at_level(logging.WARNING):
        used = load_settings()
    assert whole.model_dump() == used.model_dump(), "the broken one is left out, the others are as they were"
    assert [place] == [*used.left_out] and used.left_out[place].startswith(why.split("'")[0])
    assert why in used.left_out[place] and "\n" not in used.left_out[place]
    assert f"settings ({file}): {used.left_out[place]}; it is left out until that is corrected" in caplog.messages
    with pytest.raises(SettingsError, match="settings ") as caught:
        used.refuse(place)
    assert 2 == caught.value.exit_code
    if group == "sources":
        with pytest.raises(SettingsError):
            access_of(used, name)
