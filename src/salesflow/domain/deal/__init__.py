"""The deal: one possible sale to one customer, from prospecting to after-sales service.

`Deal` is put together from parts, each with its facts, what they change, and its commands:

    stages      opened, moved, migrated             quotes       drafted … accepted, expired
    outcomes    won, lost, disqualified, reopened   billing      forecast, terms, invoices
    merging     merged, absorbed, unmerged          people       owner, hand-overs, help …
    activities  contacts, needs, objections …       after_sales  service, orders, feedback
    committee   who decides at the customer

`DealState` in `state.py` is what follows from all of them, for commands and read tables alike.
"""

from salesflow.domain.deal.deal import Deal
from salesflow.domain.deal.quotes import QuoteLine

__all__ = ["Deal", "QuoteLine"]
