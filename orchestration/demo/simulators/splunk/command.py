"""The simulated collector as a process of its own: `python -m orchestration.demo.simulators.splunk.hec`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from pathlib import Path

from orchestration.demo.simulators.splunk.hec import SplunkSimulator
from orchestration.demo.simulators.splunk.index import Token


def main(words: list[str] | None = None) -> None:
    """Serve until SIGTERM, SIGINT, or, with --until-stdin-closes, until the starting process is gone."""
    given = _parser().parse_args(words)
    token = os.environ.get(given.token_env, "")
    if not token:
        raise SystemExit(f"{given.token_env} is not set; set it to the token the simulated collector shall take")
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with _simulator(given, token) as simulator:
        sys.stdout.write(f"{simulator.url}\n")
        sys.stdout.flush()
        if given.until_stdin_closes:
            threading.Thread(target=_end_with_stdin, args=(ended,), daemon=True).start()
        ended.wait()
    if given.report is not None:
        given.report.write_text(_report(simulator))


def _end_with_stdin(ended: threading.Event) -> None:
    sys.stdin.read()
    ended.set()


def _simulator(given: argparse.Namespace, token: str) -> SplunkSimulator:
    tokens = [Token(token, acknowledges=not given.no_acknowledgement, indexes=given.index or (), index="main")]
    simulator = SplunkSimulator(tokens, port=given.port, ack_delay=given.ack_delay)
    if given.busy_every:
        simulator.inject("answer", code=9, every=given.busy_every, times=None)
    if given.reset_every:
        simulator.inject("reset_after", every=given.reset_every, times=None)
    return simulator


def _report(simulator: SplunkSimulator) -> str:
    counts = simulator.counts()
    return f"events {sum(counts.values())}\nevent ids {len(counts)}\nrequests {len(simulator.requests)}\n"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m orchestration.demo.simulators.splunk.hec", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 (default) takes a free one")
    parser.add_argument("--token-env", default="HEADWATER_SPLUNK_TOKEN", help="variable with the token to accept")
    parser.add_argument("--index", action="append", help="an index that the token may write to; repeatable")
    parser.add_argument("--no-acknowledgement", action="store_true", help="the token does not acknowledge")
    parser.add_argument("--ack-delay", type=float, default=0.0, help="seconds from taking to acknowledging")
    parser.add_argument("--busy-every", type=int, metavar="N", help="503, code 9 at every N-th body")
    parser.add_argument("--reset-every", type=int, metavar="N", help="every N-th body is indexed, its answer lost")
    parser.add_argument("--report", type=Path, help="file to write counts to at the end")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end when standard input is closed")
    return parser
