"""Commands of the outbox: deliver what was recorded, see what waits, help what is dead."""
