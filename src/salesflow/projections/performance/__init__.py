"""Performance: sales, orders, win rates, new customers, first response, velocity."""
