"""Tests of the dbt project: what comes out of it for what goes in."""
