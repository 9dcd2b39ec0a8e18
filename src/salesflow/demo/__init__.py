"""A sales team lived through in minutes: the seeded simulation behind `salesflow demo`.

Two teams, a few dozen customers, two and a half years. What they do goes through the same
sessions, aggregates and rules as anybody's work; only the clock is turned. The same seed
gives the same deals, the same figures and the same answers.
"""
