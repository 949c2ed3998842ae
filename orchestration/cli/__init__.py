"""The command line `headwater`. One file per group of commands; `main` is the entry point.

Exit codes: 0 all is well; 1 something needs a look (a batch failed, a sheet does not balance, nothing was found);
2 the call or the settings are wrong.
"""

import sys

from orchestration.cli.app import app
from orchestration.cli.output import fail, known_errors

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line; errors that a user can do something about are one line on stderr."""
    try:
        app()
    except known_errors() as problem:
        sys.exit(fail(problem))
