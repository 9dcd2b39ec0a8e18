"""Event logs of process mining: XES and OCEL 2.0, through the mapping of a table."""
