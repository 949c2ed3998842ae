"""BigQuery's counterpart as a process: `python -m orchestration.demo.simulators.bigquery`."""

from orchestration.demo.simulators.bigquery.bqemulator import ABSENT, BigQueryEmulator, installed
from orchestration.demo.simulators.loopback import serve

if __name__ == "__main__":
    if not installed():
        raise SystemExit(ABSENT)
    serve(BigQueryEmulator())
