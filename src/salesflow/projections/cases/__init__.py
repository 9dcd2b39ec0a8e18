"""Cases: one closed deal told, beside those most like it."""
