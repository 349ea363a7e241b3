"""How good samples are: fixed features, distances between sets, copies."""
