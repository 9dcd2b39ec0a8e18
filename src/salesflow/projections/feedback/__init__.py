"""Feedback: what customers say, in scores and in their own words."""
