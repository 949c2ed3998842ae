"""OCSF as Headwater publishes it: the declared subset, what is generated from it, and its validation."""
