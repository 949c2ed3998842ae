"""Lookup providers with an API: what is asked, within which budget, and where answers are kept."""
