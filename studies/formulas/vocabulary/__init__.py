"""F1: bits per byte by vocabulary at equal parameters and equal text."""
