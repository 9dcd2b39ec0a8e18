"""What a column of whole numbers holds: instants, or amounts and shares in millionths.

In the tables these are whole numbers, exact on every database. A fold names the kind of a
column so that the SQL views beside the tables can show timestamps and decimals to people.
"""

import sqlalchemy as sa

__all__ = ["Instants", "Millionths", "Shares"]


class Instants(sa.BigInteger):
    """Microseconds since 1970-01-01 UTC."""


class Millionths(sa.BigInteger):
    """Amounts in whole millionths of their currency."""


class Shares(sa.Integer):
    """Parts of one in whole millionths: shares, probabilities."""
