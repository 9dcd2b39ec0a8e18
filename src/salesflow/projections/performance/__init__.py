"""Performance: sales, orders, win rates, velocity, and why deals are won and lost."""
