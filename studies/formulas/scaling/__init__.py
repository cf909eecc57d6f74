"""Loss by parameters and training length, L(N, D), and what follows for a budget of compute."""
