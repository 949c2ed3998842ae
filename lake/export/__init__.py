"""Delivering curated tables: one partition of one table to one destination, with a receipt read back from it.

What belongs here: what every destination shares. Which hours are behind (`hours`, `standing`), the rows of a partition
(`rows`), pushing and the receipt (`pushing`), evolving a table's columns (`evolution`). What does not: any one
destination; those are the files of `lake.export.destinations`.
"""
