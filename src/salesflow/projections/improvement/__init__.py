"""Continuous improvement: what was changed in the process, and whether it did any good."""
