"""Fetches exports from the interfaces of systems: folders of pages, as importers read them.

What came over the network is kept as it came, so that an import can be audited, and repeated.
"""
