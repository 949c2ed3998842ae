"""The simulated Okta org as a process of its own: `python -m orchestration.demo.simulators.okta.org --events FILE`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from itertools import chain
from pathlib import Path

from orchestration.demo.simulators.okta.events import read_ndjson
from orchestration.demo.simulators.okta.org import OktaSimulator


def main(words: list[str] | None = None) -> None:
    """Serve until SIGTERM, SIGINT, or, with --until-stdin-closes, until the starting process is gone."""
    given = _parser().parse_args(words)
    token = os.environ.get(given.token_env, "")
    if not token:
        raise SystemExit(f"{given.token_env} is not set; set it to the token the simulated org shall take")
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with _simulator(given, token) as simulator:
        sys.stdout.write(f"{simulator.url}\n")
        sys.stdout.flush()
        if given.until_stdin_closes:
            threading.Thread(target=_end_with_stdin, args=(ended,), daemon=True).start()
        ended.wait()


def _end_with_stdin(ended: threading.Event) -> None:
    sys.stdin.read()
    ended.set()


def _simulator(given: argparse.Namespace, token: str) -> OktaSimulator:
    simulator = OktaSimulator(
        chain.from_iterable(read_ndjson(path) for path in given.events),
        token=token,
        port=given.port,
        rate_limit=given.rate_limit,
        window_seconds=given.window_seconds,
        lag_seconds=given.lag_seconds,
        live=given.live,
        seed=given.seed,
    )
    if given.expire_after is not None:
        simulator.inject("expired", after=given.expire_after, times=1)
    if given.fail_every:
        simulator.inject("rate_limit", every=given.fail_every, seconds=given.fail_seconds)
    if given.error_every:
        simulator.inject("server_error", every=given.error_every)
    if given.reset_every:
        simulator.inject("reset", every=given.reset_every)
    if given.hang_every:
        simulator.inject("hang", every=given.hang_every, seconds=given.hang_seconds)
    if given.slow_every:
        simulator.inject("slow", every=given.slow_every, seconds=given.slow_seconds)
    return simulator


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m orchestration.demo.simulators.okta.org", description=__doc__)
    parser.add_argument("--events", type=Path, action="append", required=True, help="NDJSON, plain or .gz; repeatable")
    parser.add_argument("--port", type=int, default=0, help="0 (default) takes a free one")
    parser.add_argument("--token-env", default="HEADWATER_OKTA_TOKEN", help="variable with the token to accept")
    parser.add_argument("--rate-limit", type=int, default=120, help="requests per window (default 120)")
    parser.add_argument("--window-seconds", type=float, default=60.0, help="length of the window (default 60)")
    parser.add_argument("--fail-every", type=int, metavar="N", help="429 at every N-th request")
    parser.add_argument("--fail-seconds", type=float, default=1.0, help="seconds to the reset of that 429 (default 1)")
    parser.add_argument("--error-every", type=int, metavar="N", help="503 at every N-th request")
    parser.add_argument("--reset-every", type=int, metavar="N", help="reset inside every N-th body")
    parser.add_argument("--hang-every", type=int, metavar="N", help="silence at every N-th request")
    parser.add_argument("--hang-seconds", type=float, default=120.0, help="length of that silence (default 120)")
    parser.add_argument("--slow-every", type=int, metavar="N", help="slow body at every N-th request")
    parser.add_argument("--slow-seconds", type=float, default=2.0, help="how long that body takes (default 2)")
    parser.add_argument("--expire-after", type=int, metavar="N", help="the token expires after N requests")
    parser.add_argument("--lag-seconds", type=float, default=0.0, help="longest time from publication to persistence")
    parser.add_argument("--live", action="store_true", help="serve an event only once it is persisted")
    parser.add_argument("--seed", type=int, default=0, help="of the persistence lag (default 0)")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end when standard input is closed")
    return parser
