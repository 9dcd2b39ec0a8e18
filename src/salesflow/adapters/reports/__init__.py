"""Scheduled reports: when one is due, how it is defined, and which were made."""
