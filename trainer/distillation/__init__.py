"""Training towards the predictions of a larger network."""
