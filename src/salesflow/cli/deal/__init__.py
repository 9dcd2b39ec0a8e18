"""`salesflow deal`: lists, one deal, its history, its replay."""
