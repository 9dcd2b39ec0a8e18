"""The outbox: messages of what was recorded, kept until they are delivered, in order per deal."""
