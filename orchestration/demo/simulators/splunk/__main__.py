"""The simulated collector as a process: `python -m orchestration.demo.simulators.splunk`.

It prints its address first and ends when its standard input is closed.
"""

from __future__ import annotations

import argparse
import os

from orchestration.demo.simulators.loopback import serve
from orchestration.demo.simulators.splunk.hec import SplunkSimulator
from orchestration.demo.simulators.splunk.index import Token


def main() -> None:
    """Serve with one token, which acknowledges."""
    parser = argparse.ArgumentParser(prog="python -m orchestration.demo.simulators.splunk", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 (default) takes a free one")
    parser.add_argument("--token-env", default="HEADWATER_SPLUNK_TOKEN", help="variable with the token to accept")
    parser.add_argument("--ack-delay", type=float, default=0.0, help="seconds from taking to acknowledging")
    given = parser.parse_args()
    token = os.environ.get(given.token_env, "")
    if not token:
        raise SystemExit(f"{given.token_env} is not set; set it to the token the simulated collector shall take")
    serve(SplunkSimulator([Token(token)], port=given.port, ack_delay=given.ack_delay))


if __name__ == "__main__":
    main()
