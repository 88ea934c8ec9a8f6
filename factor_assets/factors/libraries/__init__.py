"""Published sets of factors: one file a library."""
