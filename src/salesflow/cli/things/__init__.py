"""How people call things on the command line: ids, names, keys, and what events are of."""
