"""Lookup providers with an API: what is asked, within which budget, and where answers are kept.

What belongs here: the mechanism that all providers share. What does not: a provider (`providers/`, one file each, found
by its name), the files with the answers (`lake.ledger.lookup_answers`), who waits (`lake.ledger.pending_lookups`).
"""
