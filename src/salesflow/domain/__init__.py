"""Facts, aggregates and values: the rules of staged sales management, pure of any storage."""
