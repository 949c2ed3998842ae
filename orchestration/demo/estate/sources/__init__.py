"""The logs of the simulated company: a feed for each source, which makes its events."""
