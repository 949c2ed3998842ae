"""The simulated Okta org as a process: `python -m orchestration.demo.simulators.okta --events FILE`.

It prints its address first and ends when its standard input is closed.
"""

from __future__ import annotations

import argparse
import os
from itertools import chain
from pathlib import Path

from orchestration.demo.simulators.loopback import serve
from orchestration.demo.simulators.okta.events import read_ndjson
from orchestration.demo.simulators.okta.org import OktaSimulator


def main() -> None:
    """Serve the events of the files that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m orchestration.demo.simulators.okta", description=__doc__)
    parser.add_argument("--events", type=Path, action="append", required=True, help="NDJSON, plain or .gz; repeatable")
    parser.add_argument("--port", type=int, default=0, help="0 (default) takes a free one")
    parser.add_argument("--token-env", default="HEADWATER_OKTA_TOKEN", help="variable with the token to accept")
    parser.add_argument("--rate-limit", type=int, default=120, help="requests a minute (default 120)")
    parser.add_argument("--fault", action="append", default=[], metavar="KIND:N", help="at every N-th request")
    given = parser.parse_args()
    token = os.environ.get(given.token_env, "")
    if not token:
        raise SystemExit(f"{given.token_env} is not set; set it to the token the simulated org shall take")
    events = chain.from_iterable(read_ndjson(path) for path in given.events)
    org = OktaSimulator(events, token=token, port=given.port, rate_limit=given.rate_limit)
    for kind, _, every in (each.partition(":") for each in given.fault):
        org.inject(kind, every=int(every))
    serve(org)


if __name__ == "__main__":
    main()
