"""Initial weights inherited from a larger network (F4 of the paper)."""
