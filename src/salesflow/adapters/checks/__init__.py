"""Checks: whether a log and its read tables agree."""
