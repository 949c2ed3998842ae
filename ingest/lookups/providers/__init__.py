"""The providers: one file each, named after its type in the settings. A new one edits nothing else.

What belongs here: the questions, the useful fields of answers, the scale of reputations, limits by default, with their
sources. What does not: budgets, waiting, storing (`ingest.lookups`).
"""
