"""Properties of the whole engine: random histories, asked at many moments, with an oracle."""
