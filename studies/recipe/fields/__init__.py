"""What a recipe recommends, field by field: the network, its optimisation, and how its weights start."""
