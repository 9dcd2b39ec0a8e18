"""Exports of Odoo: `system` says what their tables and columns mean."""
