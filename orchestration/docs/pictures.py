"""`make pictures`: the README's pictures, taken anew from the demo's lake.

One shows the incident in the terminal, the other an asset's page in the Dagster UI. Run `make demo` before. Needs
Chromium (`chromium` on the PATH, or the path in CHROMIUM). Look at both pictures before you commit them.
"""

import argparse
import io
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from pathlib import Path

from playwright.sync_api import Page, sync_playwright
from rich.console import Console
from rich.terminal_theme import SVG_EXPORT_THEME
from rich.text import Text

from orchestration.demo.local import HOME
from orchestration.settings import FILE_VARIABLE, TOP

FOLDER = Path(__file__).parent
ASSET, HOUR = "silver/authentication__windows_event", "2026-03-02-07:00"
FIRST, LAST = "7/8", "Who denied one push"  # of what the demo prints
_ARGUMENTS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
_TERMINAL = """<body style="margin:0;background:#16181d"><pre style="font:15px/1.45 'DejaVu Sans Mono',monospace;
color:#d8dee9;padding:22px 26px;margin:0;white-space:pre-wrap">{}</pre></body>"""


def main(words: Sequence[str] | None = None) -> int:
    """Take the pictures; return 0, or 1 without a demo lake."""
    parser = argparse.ArgumentParser(prog="python -m orchestration.docs.pictures", description=main.__doc__)
    parser.add_argument("--home", type=Path, default=HOME, help="the folder of the demo")
    parser.add_argument("--out", type=Path, default=FOLDER, help="where the pictures go")
    asked = parser.parse_args(words)
    if not (asked.home / "headwater.yml").exists():
        sys.stderr.write(f"no demo lake in {asked.home}: run `make demo` first\n")
        return 1
    environment = {**os.environ, FILE_VARIABLE: str(asked.home / "headwater.yml")}
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
    with sync_playwright() as browser:
        window = browser.chromium.launch(executable_path=chromium, args=list(_ARGUMENTS))
        page = window.new_page(viewport={"width": 1180, "height": 400}, device_scale_factor=1.5)
        incident(page, asked.out / "incident.png", environment)
        page = window.new_page(viewport={"width": 1440, "height": 900})
        asset(page, asked.out / "asset.png", environment)
        window.close()
    return 0


def incident(page: Page, file: Path, environment: dict[str, str]) -> None:
    """Run the demo again, which changes nothing, and show the end of what it prints."""
    told = subprocess.run(
        [sys.executable, "-m", "orchestration.demo.local"],
        cwd=TOP,
        env={**environment, "FORCE_COLOR": "1", "COLUMNS": "118", "TERM": "xterm-256color"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    lines = told.splitlines()
    first = next(at for at, line in enumerate(lines) if FIRST in line)
    last = next(at for at, line in enumerate(lines) if LAST in line)
    console = Console(record=True, width=118, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi("$ make demo\n…\n" + "\n".join(lines[first:last]).rstrip()))
    shown = console.export_html(inline_styles=True, code_format="{code}", theme=SVG_EXPORT_THEME)
    page.set_content(_TERMINAL.format(shown or escape(told)))
    page.screenshot(path=str(file), full_page=True)


def asset(page: Page, file: Path, environment: dict[str, str]) -> None:
    """Build one hour of one table in Dagster, and show the asset's page with that hour's receipt and checks."""
    environment = {**environment, "DAGSTER_HOME": str(TOP / ".headwater" / "dagster")}
    with dagster_ui(environment) as address:
        words = ["asset", "materialize", "--select", ASSET, "--partition", HOUR, "-m", "orchestration.definitions"]
        subprocess.run([_beside("dagster"), *words], cwd=TOP, env=environment, check=True, capture_output=True)
        page.goto(f"{address}/assets/{ASSET}?view=partitions&partition={HOUR}", wait_until="load")
        page.wait_for_timeout(12_000)  # the UI asks for its data piece by piece
        page.screenshot(path=str(file))


@contextmanager
def dagster_ui(environment: dict[str, str]) -> Iterator[str]:
    """Run `python -m orchestration.dev` while the block runs; yield the UI's address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [sys.executable, "-m", "orchestration.dev", "--port", str(port)]
    process = subprocess.Popen(words, cwd=TOP, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(120):
            time.sleep(1)
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/server_info", timeout=5).close()
                break
            except OSError:
                continue
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=60)


def _beside(command: str) -> str:
    return str(Path(sys.executable).with_name(command))


if __name__ == "__main__":
    sys.exit(main())
