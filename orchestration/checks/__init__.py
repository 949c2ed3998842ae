"""Asset checks: what is held against each run, with the cause in words when it does not hold."""
