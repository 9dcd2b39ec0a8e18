"""Product demos in salesflow: a fact, a read table and a question of Acme's own.

Once the package is installed, every process that opens a log knows them, by the entry points of
`pyproject.toml`; nothing of salesflow is changed.
"""
