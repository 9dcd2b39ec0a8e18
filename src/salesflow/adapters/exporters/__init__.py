"""Exporting: the log and what follows from it, in open formats that others read.

`log_file` writes a log as JSON Lines, which `restore` brings back. Tables of rows go to
Parquet, Arrow and CSV; histories of deals to XES and OCEL, for process mining.
"""
