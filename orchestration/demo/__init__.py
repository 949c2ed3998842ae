"""The demo: a simulated company, the vendors it uses, and the runs that show them."""
