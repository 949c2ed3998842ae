"""BigQuery on loopback: bqemulator in an environment of its own."""
