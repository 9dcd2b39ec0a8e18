"""The table importer: any CSV file, read by a mapping."""
