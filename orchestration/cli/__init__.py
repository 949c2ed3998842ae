"""The command line `headwater`; `main` is the entry point.

Exit codes: 0 all is well; 1 something needs a look (a batch failed, a sheet does not balance, nothing was found);
2 the call or the settings are wrong.
"""

from orchestration.cli.app import app, load, main

__all__ = ["app", "load", "main"]
