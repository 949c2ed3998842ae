"""`make dev`: the Dagster UI on the demo lake, with the simulated Okta org beside it; without a demo, an empty lake."""

import argparse
import os
import signal
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

from orchestration.demo.local import HOME
from orchestration.demo.tour import TOKEN, TOKEN_VARIABLE, okta_org
from orchestration.settings import FILE_VARIABLE, TOP

DAGSTER_HOME = TOP / ".headwater" / "dagster"
INSTANCE = """\
telemetry: {enabled: false}
nux: {enabled: false}
concurrency: {pools: {default_limit: 1}}  # one run at a time lands a source
run_monitoring: {enabled: true, poll_interval_seconds: 15}  # a run whose process was killed is told as failed
"""


def main(port: int = 3000) -> int:
    """Run `dagster dev` on 127.0.0.1 until it is stopped; return its exit code."""
    environment = {"DAGSTER_HOME": str(DAGSTER_HOME), **os.environ}
    home = Path(environment["DAGSTER_HOME"])
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "dagster.yaml").exists():
        (home / "dagster.yaml").write_text(INSTANCE)
    named, demo = os.environ.get(FILE_VARIABLE), HOME / "headwater.yml"
    with_demo = demo.exists() and (not named or Path(named).resolve() == demo.resolve())
    if with_demo:
        environment = {TOKEN_VARIABLE: TOKEN, **environment, FILE_VARIABLE: str(demo)}
        sys.stderr.write(f"the demo lake: {HOME / 'lake'}\n")
    elif named:
        sys.stderr.write(f"the settings that {FILE_VARIABLE} names: {named}\n")
    else:
        sys.stderr.write("no demo lake here (make demo makes one): settings are your own, or the defaults\n")
    words = [str(Path(sys.executable).parent / "dagster"), "dev", "-h", "127.0.0.1", "-p", str(port)]
    words += ["-m", "orchestration.definitions"]
    # Before the UI opens, Dagster is told what others put into the lake; the sensor goes on with it.
    told = [sys.executable, "-W", "ignore", "-m", "orchestration.automation.lake_reports"]
    subprocess.run(told, cwd=TOP, env=environment, check=False)
    with okta_org(HOME) if with_demo else nullcontext():
        process = subprocess.Popen(words, cwd=TOP, env=environment)
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())  # else Dagster's servers would live on
        try:
            return process.wait()
        except KeyboardInterrupt:
            process.wait()
            return 0


if __name__ == "__main__":
    asked = argparse.ArgumentParser(prog="python -m orchestration.dev", description=main.__doc__)
    asked.add_argument("--port", type=int, default=3000)
    sys.exit(main(asked.parse_args().port))
