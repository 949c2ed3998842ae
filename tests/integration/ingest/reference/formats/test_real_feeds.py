"""Every line and entry of real feeds is an entry, a reject or counted."""

import json
from pathlib import Path

from tests.unit.ingest.reference.formats.reading import read_feed

LISTS = {
    "amazon-aws": (3847, 0),
    "cisco_top10k": (9999, 1),  # -container.supertms.com is no name
    "disposable-email": (0, 8201),  # substrings
    "public-dns-v4": (62745, 0),
    "rfc1918": (3, 0),
    "rfc3849": (1, 0),
    "rfc5735": (15, 0),
    "rfc6598": (1, 0),
    "rfc6761": (21, 0),
    "vpn-ipv4": (42426, 0),
}


def test_every_entry_of_the_real_lists_is_accounted_for(shared_data: Path) -> None:
    folder = shared_data / "misp-warninglists/lists"
    assert sorted(LISTS) == sorted(each.name for each in folder.iterdir())
    for name, counts in LISTS.items():
        path = folder / name / "list.json"
        found = read_feed("misp_warninglist", "warning_lists", path)
        assert counts == (len(found.entries), len(found.rejects)), name
        assert sum(counts) == len(json.loads(path.read_text())["list"]), name


def test_every_line_of_ipsum_is_accounted_for(shared_data: Path) -> None:
    path = shared_data / "ipsum/ipsum.txt"
    found = read_feed("plain", "indicators", path, columns=["confidence"], confidence_times=10)
    lines = path.read_text().splitlines()
    assert 120_430 == len(found.entries) == len({entry.entry for entry in found.entries})
    assert len(lines) == len(found.entries) + len(found.rejects) + sum(found.skipped.values())
    assert ([], {"comment": 7}, 100) == (found.rejects, found.skipped, found.payload()["confidence"])
