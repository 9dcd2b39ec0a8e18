"""Incentives: what plans pay, who stands where in leaderboards and contests."""
