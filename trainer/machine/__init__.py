"""The machine that a run trains on: its memory, precision, compiler and software."""
