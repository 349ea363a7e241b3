"""One page to look at a run or a file with: self-contained, or served to this machine alone."""
