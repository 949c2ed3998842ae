"""A simulated Okta org."""
