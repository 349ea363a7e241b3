"""A recipe fitted to a folder of data: what lies there, what suits it, and why."""
