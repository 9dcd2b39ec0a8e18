"""Exports of Pipedrive: `system` says what their tables and columns mean."""
