"""People: what a rep has done and learned, what trainings moved, and where to coach."""
