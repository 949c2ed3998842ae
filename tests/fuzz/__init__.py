"""Fuzz: mutated records of all sources are landed (and built), and nothing may be lost, stopped or end in a traceback.

`python -m tests.fuzz --records 100000 --seed 7` runs it. The same seed makes the same records.
"""
