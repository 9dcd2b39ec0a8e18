"""The outbox: messages of what was recorded, kept until delivered, in order per deal."""
