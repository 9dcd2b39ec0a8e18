"""How people work together on deals, among themselves and with those who decide."""
