"""The network: its shape, counts, attention, initialisation and tokenizer."""
