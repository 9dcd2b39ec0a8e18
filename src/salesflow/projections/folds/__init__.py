"""Pure folds: from one entity's believed history to the rows of one table."""
