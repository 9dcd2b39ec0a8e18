"""Make the tables, once, where a service of yours would run its migrations.

    python -m orderdesk.setup

It makes the log too, beside the tables. Run again, it changes nothing.
"""

import sys

from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from orderdesk.app import database_url
from orderdesk.models import Base, Product, User, digest_of
from salesflow import SalesFlow
from salesflow.errors import SalesflowError

USERS = {"ann": "ann-secret", "bob": "bob-secret"}
PRODUCTS = {"MES-LINE": 3, "BI-BOARD": 1_000_000}


def make_tables(url: str) -> None:
    """Make the log, the service's tables, two users and two products."""
    with SalesFlow(url, shared=True, timezone="Asia/Shanghai") as flow:
        engine = create_engine(flow.log.database.url)
        Base.metadata.create_all(engine)
        with Session(engine) as rows, rows.begin():
            if rows.get(User, "ann") is None:
                rows.add_all(User(id=id, token_digest=digest_of(USERS[id])) for id in USERS)
                rows.add_all(Product(sku=sku, stock=PRODUCTS[sku]) for sku in PRODUCTS)
        engine.dispose()


if __name__ == "__main__":
    try:
        make_tables(database_url())
    except SalesflowError as error:
        sys.exit(str(error))
    print("ready: users", *USERS, "and products", *PRODUCTS)
