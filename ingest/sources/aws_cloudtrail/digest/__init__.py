"""The proof that delivered log files are the ones that CloudTrail delivered: its digest files, verified."""
