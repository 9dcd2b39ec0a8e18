"""Stages: how many deals go on from each, and how long they stay."""
