"""Who works: processes of a team, workers of a cluster, and one at a time in a folder."""
