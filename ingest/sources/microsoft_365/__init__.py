"""The audit log of Microsoft 365: the contract, and the layouts in which it comes."""
