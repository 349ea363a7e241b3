"""What says whether a file is as it was made: a sample drawn again, and what was observed."""
