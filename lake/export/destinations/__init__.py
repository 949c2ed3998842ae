"""Destinations, one module or folder each; its name is the `type` in the settings.

A destination has `Options` (a msgspec struct of its settings), `TYPES` (kind of value → its own type, for the
documentation), `NOTES` (what does not come back as it went), and `open_destination(name, options, place)`, which makes
no request and needs no secret. A vendor's client is imported when it is used. A folder may have `addon.py` with
`write_addon(folder)`, which `headwater export addon` finds.
"""
