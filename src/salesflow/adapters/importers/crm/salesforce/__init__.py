"""Exports of Salesforce: `system` says what their tables and columns mean."""
