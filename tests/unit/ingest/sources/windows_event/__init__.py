"""The layouts of Windows events."""
