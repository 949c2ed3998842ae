"""Destinations, one file each; the name of the file is the `type` in the settings.

What belongs here: how one destination takes a partition and says what it holds. What does not: which hours are pushed,
the rows, the receipts (`lake.export`).

A file has `Options` (a msgspec struct: what the settings may say), `TYPES` (kind of value → the destination's type, for
the documentation), `NOTES` (what does not come back as it went), and `open_destination(name, options, place)`, which
makes no request and needs no secret. A vendor's client is imported when it is used.
"""
