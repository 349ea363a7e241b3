"""What learns: the painter makes tiles, the corrector mends priors; both step through one loop."""
