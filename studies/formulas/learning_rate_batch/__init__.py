"""F5: the best learning rate over the batch, and over size and length."""
