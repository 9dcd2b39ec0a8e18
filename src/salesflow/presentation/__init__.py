"""Presentation: views as tables, text, Arrow and HTML, from the roles of their fields."""
