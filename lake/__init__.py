"""The lake's own room: where things lie, how they are replaced, and the receipts that account for them."""
