"""Record a demo from a terminal, as a service of Acme's would.

python -m acme_demos DEAL PRODUCT [IMPRESSION]

DEAL is a deal's id. The log is that of $SALESFLOW_DB.
"""

import os
import sys
from uuid import UUID

from acme_demos.facts import DemoGiven
from salesflow import Deal, ExternalEvent, SalesFlow
from salesflow.errors import SalesflowError


def main(deal: str, product: str, impression: str | None = None) -> str:
    """Record one demo, and say under which number."""
    with SalesFlow(os.environ["SALESFLOW_DB"], create=False) as flow:
        found = flow.get(Deal, UUID(deal))
        shown = DemoGiven(product=product, impression=impression)
        [receipt] = flow.record([ExternalEvent(found.id, shown, actor=found.owner)])
    return f"event no. {receipt.last}: {product} was shown to {found.title}"


if __name__ == "__main__":
    try:
        print(main(*sys.argv[1:]))
    except (SalesflowError, KeyError, TypeError, ValueError) as error:
        sys.exit(f"{error}\n{__doc__}")
