"""The command line `headwater`; `main` is the entry point.

Exit codes: 0 all is well; 1 something needs a look (a batch failed, a sheet does not balance, nothing was found);
2 the call or the settings are wrong.
"""

import sys

from orchestration.cli.app import app, load
from orchestration.cli.output import fail, known_errors

__all__ = ["app", "load", "main"]


def main() -> None:
    """Run the command line; errors that a user can do something about are one line on stderr."""
    load(*sys.argv[1:2])
    try:
        app()
    except SystemExit:  # how commands end; without this line each would import what `known_errors` names
        raise
    except known_errors() as problem:
        sys.exit(fail(problem))
