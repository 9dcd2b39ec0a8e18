"""Tables as people bring them, and what becomes of them."""
