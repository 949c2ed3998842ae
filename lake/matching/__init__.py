"""Retro-matching: a new indicator is held against the observables of the lake's past."""
