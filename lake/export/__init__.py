"""Exports: one partition of one curated table to one destination, with a receipt read back from it."""
