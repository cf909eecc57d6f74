"""Workers: they give studies to Ray and execute operations."""
