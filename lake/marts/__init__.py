"""Marts: what each declares, when it is stale, how long it is kept."""
