"""The network: recursive token fusion going in, its mirror coming out."""
