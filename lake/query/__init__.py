"""Reading the lake: views over its tables, sessions that only read, quarantine, conditions."""
