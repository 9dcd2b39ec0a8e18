"""Commands of the aggregates as commands of the command line, and what was recorded by them."""
