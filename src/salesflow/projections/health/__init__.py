"""Questions about how open deals are: what speaks against each of them, and since when."""
