"""What several subjects measure alike: metrics of any spans, scopes and groups."""
