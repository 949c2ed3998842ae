"""A spool gives back exactly the pages that were made durable for the same window."""

from __future__ import annotations

import json

import pytest

from ingest.transports.fetch_errors import SpoolInUse
from ingest.transports.page_spool import open_spool

WINDOW = {"url": "https://acme.okta.com/api/v1/logs", "since": "a", "until": "b"}


@pytest.fixture
def spooled(tmp_path):
    """Three pages of four."""
    with open_spool(tmp_path, WINDOW) as spool:
        for number in (1, 2, 3):
            spool.append(f"[{number}]".encode(), f"link-{number}")
    return tmp_path


def reopened(directory, window=WINDOW):
    with open_spool(directory, window) as spool:
        return [spool.path(page).read_bytes() for page in spool.pages], spool.next, spool.complete


def test_pages_and_the_next_link_come_back(spooled):
    assert reopened(spooled) == ([b"[1]", b"[2]", b"[3]"], "link-3", False)


def test_a_page_without_a_next_link_completes_it(spooled):
    with open_spool(spooled, WINDOW) as spool:
        spool.append(b"[4]", None)
    assert reopened(spooled) == ([b"[1]", b"[2]", b"[3]", b"[4]"], None, True)


@pytest.mark.parametrize("change", [{"since": "x"}, {"until": "x"}, {"url": "https://other"}, {"limit": "10"}])
def test_another_window_starts_empty(spooled, change):
    assert reopened(spooled, {**WINDOW, **change}) == ([], None, False)
    assert not list(spooled.glob("page-*"))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": 2}', b'{"format": 1, "window": {}, "pages": []}'])
def test_an_unreadable_cursor_starts_empty(spooled, content):
    (spooled / "cursor.json").write_bytes(content)
    assert reopened(spooled) == ([], None, False)


def test_a_half_written_page_and_those_after_it_are_never_used(spooled):
    (spooled / "page-00002.json").write_bytes(b"[")
    assert reopened(spooled) == ([b"[1]"], "link-1", False)
    assert not (spooled / "page-00003.json").exists()


def test_a_missing_page_is_fetched_again_with_those_after_it(spooled):
    (spooled / "page-00003.json").unlink()
    assert reopened(spooled) == ([b"[1]", b"[2]"], "link-2", False)


def test_a_page_that_only_waits_for_its_name_gets_it(spooled):
    (spooled / "page-00003.json").rename(spooled / "page-00003.json.tmp")
    assert reopened(spooled) == ([b"[1]", b"[2]", b"[3]"], "link-3", False)
    assert (spooled / "page-00003.json").exists()


def test_a_page_the_cursor_does_not_know_is_thrown_away(spooled):
    (spooled / "page-00004.json.tmp").write_bytes(b"[4")
    (spooled / "page-00004.json").write_bytes(b"[4]")
    assert reopened(spooled)[0] == [b"[1]", b"[2]", b"[3]"]
    assert not list(spooled.glob("page-00004*"))


def test_the_cursor_says_where_it_stands(spooled):
    cursor = json.loads((spooled / "cursor.json").read_bytes())
    assert (cursor["window"], cursor["next"], cursor["complete"], len(cursor["pages"])) == (WINDOW, "link-3", False, 3)


def test_two_fetches_never_share_a_spool(spooled):
    with open_spool(spooled, WINDOW), pytest.raises(SpoolInUse, match="another process"), open_spool(spooled, WINDOW):
        pass
    assert len(reopened(spooled)[0]) == 3
