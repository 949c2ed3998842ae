"""One package per kind of log of one vendor; each holds its contract, and code only where its transport needs any."""
