"""The providers: one file each, named after its type in the settings. A new one edits nothing else."""
