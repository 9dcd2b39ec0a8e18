"""Reviews: a period looked back on, beside the one before."""
