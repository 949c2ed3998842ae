"""How a value of a record is found in its row (`lake/ocsf/values.py`, invariant I11): texts, rows, plans, what is left."""
