"""Students that inherit from parents trained here, by every method, over paired seeds (F4 of the paper)."""
