"""What is said of a recipe beside its values: ranges, what being wrong costs, risks, other laws, what the run takes."""
