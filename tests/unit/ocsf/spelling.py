"""A DuckDB of the tests that spells observables, as the connections of builds and searches do."""

from functools import cache

import duckdb

from lake.ocsf import observable_text


@cache
def _kept() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect(config={"threads": 1})
    con.execute("set timezone = 'UTC'")
    observable_text.prepare(con)
    return con


def connection() -> duckdb.DuckDBPyConnection:
    """A connection of its own."""
    con = _kept().cursor()
    con.execute("set timezone = 'UTC'")
    return con
