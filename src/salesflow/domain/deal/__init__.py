"""The deal: one possible sale to one customer, from prospecting to after-sales service."""
