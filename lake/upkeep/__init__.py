"""Upkeep: compaction, retention, erasure, files that no receipt names."""
