"""Commands that write what is recorded, and what follows from it, into files."""
