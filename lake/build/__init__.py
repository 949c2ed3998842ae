"""The lake's side of a build: what a run reads and publishes, and which mapping made a table."""
