"""Snowflake on loopback: fakesnow in an environment of its own."""
