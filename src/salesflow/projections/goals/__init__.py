"""Goals: whether they are well set, how far they are attained, and the figures of stages."""
