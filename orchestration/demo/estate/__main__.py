"""`python -m orchestration.demo.estate --out DIR`: write a simulated estate."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from orchestration.demo.estate.generation import Arguments, generate


def main() -> None:
    """Read the arguments, write the estate, say what was written."""
    default = Arguments()
    parser = argparse.ArgumentParser(
        prog="python -m orchestration.demo.estate", description="Write a simulated estate."
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument("--events", type=int, default=default.events, help="about how many events, over all sources")
    parser.add_argument("--hours", type=int, default=default.hours)
    parser.add_argument("--start", default=default.start, help="first hour, ISO 8601 with an offset")
    given = parser.parse_args()
    began = time.monotonic()
    try:
        arguments = Arguments(given.seed, given.events, given.hours, given.start)
        generate(given.out, arguments, say=lambda line: print(line, flush=True))
    except (ValueError, FileExistsError) as error:
        parser.exit(2, f"{error}\n")
    print(f"estate in {given.out} after {time.monotonic() - began:.1f} s; the truth is in {given.out / 'truth.json'}")


if __name__ == "__main__":
    main()
