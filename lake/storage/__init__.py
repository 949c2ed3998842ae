"""Where a lake's bytes are: stores, locks, paths, the publishing journal, and DuckDB over them."""
