"""Exports of HubSpot: `system` says what their tables and columns mean."""
