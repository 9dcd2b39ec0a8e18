"""Exports of Fxiaoke (纷享销客): `system` says what their tables and columns mean."""
