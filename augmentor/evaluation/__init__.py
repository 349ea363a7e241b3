"""What samples are judged by: how like real ones they are, whose copies, and what of that is to be trusted."""
