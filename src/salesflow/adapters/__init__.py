"""The outside world: databases, files and formats, one module per outside thing."""
