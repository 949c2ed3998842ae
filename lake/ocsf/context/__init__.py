"""Context: what the lake knows of the addresses, machines and accounts of an event, as it was at the event's time."""
