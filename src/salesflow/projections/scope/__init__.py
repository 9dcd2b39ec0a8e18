"""Scope: whom a figure is of, whether what is asked about is known, and what it is called."""
