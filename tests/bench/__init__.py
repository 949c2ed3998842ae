"""The bench: speed as ratios to bare DuckDB on the same bytes, in one run."""
