"""Snowflake's counterpart as a process: `python -m orchestration.demo.simulators.snowflake`."""

import os

from orchestration.demo.simulators.snowflake.fakesnow import COMMAND, MISSING, PYTHON

if __name__ == "__main__":
    if MISSING:
        raise SystemExit(MISSING)
    os.execv(PYTHON, [*COMMAND, "0"])
