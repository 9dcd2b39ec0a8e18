"""The projector: keep read tables level with the log, rebuild them, read them at a moment."""
