"""The pipeline: what stands in it, how it moved, one deal's way through it."""
