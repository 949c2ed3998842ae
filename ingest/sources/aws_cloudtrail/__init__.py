"""AWS CloudTrail: the contract, and in `digest` the proof that log files are the ones that were delivered."""
