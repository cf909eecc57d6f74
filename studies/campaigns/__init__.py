"""Studies in order, each starting from the winner of the one before, and the ladder of what each brought."""
