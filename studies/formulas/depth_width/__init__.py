"""F2: depth against width at an equal budget."""
