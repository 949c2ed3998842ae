"""Whatever a vendor's API does, an hour that is fetched and swept has every event that the vendor ever showed, once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.ingest.transports.worlds import run, simulated, write_secrets


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_secrets(tmp_path_factory.mktemp("secrets"))


@pytest.mark.parametrize("source", simulated())
def test_every_event_that_was_ever_shown_is_there(storm: bool, secret: Path, source: str) -> None:
    for seed in range(200 if storm else 3):
        run(source, seed, secret)


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(("_next_link", lambda *_: lambda *_: None), id="the first page is taken for all"),
        pytest.param(("_times", lambda asked, since, until: _narrow(asked, since, until)), id="borders left out"),
    ],
)
def test_what_breaks_the_cursor_or_the_window_is_seen(secret: Path, broken, monkeypatch: pytest.MonkeyPatch) -> None:
    from ingest.transports import declared

    name, instead = broken
    monkeypatch.setattr(declared._Asked, name, instead)
    with pytest.raises(AssertionError, match="are lost"):
        for seed in range(5):
            run("slack_audit", seed, secret)


def _narrow(asked, since, until):
    """A window that both ends are taken for exclusive of, as a vendor's second of `latest` could be."""
    seconds = int(since.timestamp()) + 1, int(until.timestamp()) - 2
    return {"from": str(seconds[0]), "until": str(seconds[1])}
