"""AWS CloudTrail: the contract, and the proof that delivered log files are the ones that CloudTrail delivered."""
