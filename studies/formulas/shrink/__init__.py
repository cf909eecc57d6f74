"""TinyNet's tiny formula: how each dimension of the network shrinks with the budget."""
