"""Okta System Log: the contract and the way to fetch an hour of it."""
