"""What an adapter is beside its weights: its contract, and why one is not loaded."""
