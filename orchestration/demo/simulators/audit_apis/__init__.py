"""Audit APIs of vendors on one simulated server, with a world of events behind them."""
