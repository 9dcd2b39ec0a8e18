"""Measures what salesflow costs on this machine; `make bench` runs it."""
