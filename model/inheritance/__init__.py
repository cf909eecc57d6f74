"""A smaller network's weights from a larger one: which units are kept, and copying them (F4 of the paper)."""
