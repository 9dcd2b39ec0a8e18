"""Alerts: which figures are watched, and what was raised."""
