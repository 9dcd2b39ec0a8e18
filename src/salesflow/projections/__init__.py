"""Folds, tables and questions: how facts become figures at any moment."""
