"""Recipes: what a study found, as a full-training config in which every field names its source."""

from studies.recipe.basis import best_trial
from studies.recipe.evidence import Leaf
from studies.recipe.for_target import recipe_for_target
from studies.recipe.formats import check_format
from studies.recipe.from_trial import recipe_from_trial
from studies.recipe.recipe import Recipe, RecipeField, Source, leaves, placed
from studies.recipe.target import Target

__all__ = [
    "Leaf",
    "Recipe",
    "RecipeField",
    "Source",
    "Target",
    "best_trial",
    "check_format",
    "leaves",
    "placed",
    "recipe_for_target",
    "recipe_from_trial",
]
