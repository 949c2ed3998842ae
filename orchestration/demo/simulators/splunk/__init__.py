"""A simulated Splunk HTTP Event Collector."""
