"""The deal: one possible sale to one customer, from prospecting to after-sales service.

`Deal` is put together from parts, each with its facts, its state and its commands:

    stages     opened, moved, migrated            quotes    drafted … accepted, expired
    outcomes   won, lost, disqualified, reopened  money     forecast, lines, terms, invoices
    merging    merged, absorbed, unmerged         people    owner, collaborators, help
    talks      contacts, needs, objections …      service   service, repeat orders, feedback

`ground.py` settles stage, outcome and merging from the facts, and says which have no ground.
"""

from salesflow.domain.deal.deal import Deal
from salesflow.domain.deal.quotes import QuoteLine

__all__ = ["Deal", "QuoteLine"]
