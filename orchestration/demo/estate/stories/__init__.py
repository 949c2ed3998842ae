"""What happens in the simulated company on purpose: attacks, look-alikes, and work that looks like trouble."""
