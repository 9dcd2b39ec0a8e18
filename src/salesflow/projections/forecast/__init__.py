"""The forecast: what is won, what is likely, what slipped, how right earlier ones were."""
