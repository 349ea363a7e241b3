"""How strange images are to a run that has learned what is usual, and where in them."""
