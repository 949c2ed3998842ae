"""How a value of a record is found in its row (`lake/ocsf/values.py`, invariant I11), and what is left of a record."""
