"""The service's own tables, in the same database as the log: users, products, orders.

What must never be is said to the database, as in any service: an order's number is taken once,
and nobody sells what is not in stock. No endpoint asks beforehand, so what these constraints
refuse is found when the rows are written, and takes back the facts recorded with them.
"""

from hashlib import sha256
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

__all__ = ["REFUSED_BY", "Base", "Order", "Product", "User", "digest_of"]

REFUSED_BY = {
    "enough_in_stock": "there is not enough of it in stock",
    "orders": "an order of this number was taken before",
}
"""What to tell people when the database refuses rows, by what it names then."""


class Base(DeclarativeBase):
    """What Alembic would look at; salesflow's own tables are not among it."""


class User(Base):
    """Somebody who may use the service. The id is what the log calls an actor."""

    __tablename__ = "users"
    id: Mapped[str] = mapped_column(primary_key=True)
    token_digest: Mapped[str] = mapped_column(unique=True)


class Product(Base):
    """What can be ordered, and how much of it is left."""

    __tablename__ = "products"
    __table_args__ = (CheckConstraint("stock >= 0", name="enough_in_stock"),)
    sku: Mapped[str] = mapped_column(primary_key=True)
    stock: Mapped[int]


class Order(Base):
    """An order that won a deal. Its number is the customer's."""

    __tablename__ = "orders"
    number: Mapped[str] = mapped_column(primary_key=True)
    deal: Mapped[UUID]
    sku: Mapped[str] = mapped_column(ForeignKey("products.sku"))
    quantity: Mapped[int]
    taken_by: Mapped[str] = mapped_column(ForeignKey("users.id"))


def digest_of(token: str) -> str:
    """Return what is kept of a user's token."""
    return sha256(token.encode()).hexdigest()
