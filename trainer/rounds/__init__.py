"""Training in several rounds, the later ones over batches of high loss (F6 of the paper)."""
