"""What people see on narrow and wide terminals: no number is broken, and the next step is said."""

import importlib
from pathlib import Path

import pytest
from rich.console import Console

from lake.ledger.balance import BALANCED, NOT_BUILT, UNBALANCED, Balance, BalanceRow
from orchestration.cli.commands import balance
from orchestration.cli.commands.balance import print_balance
from tests.integration.lakes import headwater
from tests.integration.okta_logs import SOURCE

output = importlib.import_module("orchestration.cli.app")  # its package has the application under this name
MILLIONS = 12_345_678


def _row(hour: str = "", state: str = BALANCED, why: str = "", source: str = SOURCE) -> BalanceRow:
    numbers = dict.fromkeys(("read", "landed", "quarantined", "duplicates", "filtered", "published"), MILLIONS)
    return BalanceRow(
        source=source, hour=hour, collisions=MILLIONS, balanced=state == BALANCED, state=state, why=why, **numbers
    )


@pytest.fixture(params=[80, 120])
def width(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    console = Console(width=request.param, highlight=False)
    for module in (output, balance):
        monkeypatch.setattr(module, "out", console)
    found: int = request.param
    return found


def test_a_balance_of_millions_breaks_no_number(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    print_balance(Balance(hours=(_row("2026-03-02T05"),), sources=(_row(),), total=_row(source="total")), by_hour=True)
    said = capsys.readouterr().out  # two rows of seven numbers, side by side or below each other
    assert (said.count("12,345,678"), said.count("12,3"), said.count("678")) == (14, 14, 14)


def test_a_balance_of_a_day_fits_80_columns(okta_lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(balance, "out", Console(width=80))
    monkeypatch.setattr(output, "out", Console(width=80))
    said = headwater("balance", "--by-hour").out
    assert said and max(len(line) for line in said.splitlines()) <= 80
    assert SOURCE in said


def test_hours_that_are_not_built_are_one_line(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    hours = tuple(_row(f"2026-03-{day:02}T05", NOT_BUILT, "not built: a, b") for day in range(1, 29))
    print_balance(Balance(hours=hours, sources=(_row(state=NOT_BUILT),), total=_row(state=NOT_BUILT)))
    said = capsys.readouterr().out
    assert "28 event hours are not built: run `headwater build`" in said
    assert "not built: a" not in said


def test_what_does_not_balance_is_told_in_ten_lines(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    hours = tuple(_row(f"2026-03-{day:02}T05", UNBALANCED, "9 landed, but 8 published") for day in range(1, 29))
    print_balance(Balance(hours=hours, sources=(_row(state=UNBALANCED),), total=_row(state=UNBALANCED)))
    said = capsys.readouterr().out
    assert said.count("9 landed, but 8 published") == 10
    assert f"{SOURCE} 2026-03-01T05: 9 landed" in said
    assert "18 more" in said


def test_long_lines_are_left_whole(okta_lake: Path, width: int) -> None:
    said = headwater("quarantine", "show", SOURCE).out
    assert str(okta_lake.parent / "delivered" / "a.ndjson") in said
