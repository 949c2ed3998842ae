"""Windows event logs: their contract, and the layouts in which collectors write them."""
