"""The commands: one file each, named as the command or the group of commands is; a new one edits nothing else."""
