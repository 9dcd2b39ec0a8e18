"""The event store: append, read, follow and search the log of what happened."""
