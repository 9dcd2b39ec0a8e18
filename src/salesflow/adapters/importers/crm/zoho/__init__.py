"""Exports of Zoho CRM: `system` says what their tables and columns mean."""
