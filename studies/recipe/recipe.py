"""What a recipe is: a full-training config in which every field names its source."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from pydantic import BaseModel

from model.config import FrozenConfig
from studies.formulas.formula import Formula
from studies.recipe.evidence import (
    DataUse,
    DivergenceRisk,
    Expectation,
    FieldRange,
    LawBeside,
    Leaf,
    Prediction,
    RegretCurve,
    TrainingPlan,
)
from trainer.config import PretrainConfig

Source = Literal["formula", "trial", "default", "target", "derived"]
"""``formula``: a fitted law; ``trial``: what a trial was run with; ``default``: a cited default or a setting of the
study; ``target``: what the user asked for; ``derived``: follows from the other fields by arithmetic."""


STATED_BY = "stated_by"
"""In the evidence of a formula that was not fitted here: who states it."""


class RecipeField(FrozenConfig):
    """One leaf of the config and where it came from."""

    name: str
    """Dotted path in ``PretrainConfig``, e.g. ``architecture.depth``."""
    value: Leaf
    source: Source
    reference: str
    """The formula and its revision, the trial's number, or the citation."""
    note: str = ""
    range: FieldRange | None = None
    """Between which values it may lie; null for a field that a recipe does not recommend."""

    @property
    def whole(self) -> int:
        """The value as the whole number that it is.

        Raises:
            TypeError: it is something else: a mistake in the caller.
        """
        if not isinstance(self.value, int):
            raise TypeError(f"{self.name} is {self.value!r}, no whole number")
        return self.value


class Recipe(FrozenConfig):
    """A config that runs, the source of each of its leaves, and how far it reaches beyond the trials."""

    config: PretrainConfig
    fields: tuple[RecipeField, ...]
    """One for each leaf of ``config``, in its order."""
    extrapolation: dict[str, float]
    """For each quantity, how many times it lies outside the range that was measured; 1 is inside."""
    warnings: tuple[str, ...]
    regrets: tuple[RegretCurve, ...] = ()
    """What being wrong costs, one for each recommended value; none in the recipe of a trial."""
    divergence: DivergenceRisk | None = None
    """Risk of divergence at the recommended rate; null where no trial was run, and in the recipe of a trial."""
    laws: tuple[LawBeside, ...] = ()
    """This recipe's rate and batch, and beside them those of published laws."""
    prediction: Prediction | None = None
    expectation: Expectation | None = None
    """What the scaling law says of the target; null where the study has none that is determined and near."""
    data: DataUse | None = None
    plan: TrainingPlan | None = None
    """The start, the rounds and the teacher; null where the run is a plain one, from draws and in one round."""

    def starting_from(self, weights: str) -> "Recipe":
        """The same recipe with initial weights from a file of the export, drawn from its seed."""
        drawn = derived_field(
            "initial_weights", weights, "seed and initialization", "drawn when the export was written"
        )
        return self._with(drawn)

    def inherited_in(self, weights: str, words: str) -> "Recipe":
        """The same recipe with the weights that were inherited when the export was written, as ``words`` tell, in a
        file of it; the parent is not needed again.
        """
        start = "inheritance"
        fields = tuple(known for known in self.fields if known.name.partition(".")[0] != start)
        held = derived_field(start, None, "initial_weights", "the file holds what was inherited")
        rest = self.model_copy(update={"fields": (*fields, held)})
        return rest._with(derived_field("initial_weights", weights, start, words))

    def _with(self, field: RecipeField) -> "Recipe":
        """The same recipe with another value of a leaf."""
        made = assemble(field if known.name == field.name else known for known in self.fields)
        return self.model_copy(update={"config": made.config, "fields": made.fields})

    def ranged(self, ranges: Mapping[str, FieldRange]) -> "Recipe":
        """The same recipe with the ranges of some fields, by their names."""
        fields = tuple(
            known.model_copy(update={"range": ranges[known.name]}) if known.name in ranges else known
            for known in self.fields
        )
        return self.model_copy(update={"fields": fields})


def assemble(
    fields: Iterable[RecipeField], extrapolation: Mapping[str, float] | None = None, warnings: Iterable[str] = ()
) -> Recipe:
    """Build the config from its fields, so that no leaf is without a source.

    Raises:
        ValueError: a leaf has no field or two, or a field is no leaf: a mistake in the caller.
    """
    listed = list(fields)
    by_name = {field.name: field for field in listed}
    if len(by_name) != len(listed):
        raise ValueError("a leaf has two fields")
    config = PretrainConfig.model_validate(_nest(by_name.values()))
    names = [name for name, _ in leaves(config)]
    if set(names) != set(by_name):
        raise ValueError(f"leaves and fields differ: {sorted(set(names) ^ set(by_name))}")
    return Recipe(
        config=config,
        fields=tuple(by_name[name] for name in names),
        extrapolation=dict(extrapolation or {}),
        warnings=tuple(warnings),
    )


def leaves(config: BaseModel, prefix: str = "") -> Iterator[tuple[str, Leaf]]:
    """Each leaf of a nested config as (dotted name, value), in the order of its declaration."""
    for name in type(config).model_fields:
        value = getattr(config, name)
        if isinstance(value, BaseModel):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def trial_field(name: str, value: Leaf, number: int, note: str = "") -> RecipeField:
    """A leaf that trial ``number`` was run with."""
    return RecipeField(name=name, value=value, source="trial", reference=f"trial {number}", note=note)


def formula_field(name: str, value: Leaf, formula: Formula, note: str) -> RecipeField:
    """A leaf that a fitted law gives."""
    claimed = any(value.paper is not None for value in formula.coefficients.values())
    verdict = formula.verdict if claimed or formula.verdict != "undetermined" else "no claim of the paper"
    fitted = f"{formula.kind} {formula.id}, revision {formula.revision} ({verdict})"
    reference = str(formula.evidence.get(STATED_BY, fitted))
    return RecipeField(name=name, value=value, source="formula", reference=reference, note=note)


def default_field(name: str, value: Leaf, reference: str, note: str = "") -> RecipeField:
    """A leaf that was not measured; ``reference`` cites where it comes from."""
    return RecipeField(name=name, value=value, source="default", reference=reference, note=note)


def derived_field(name: str, value: Leaf, reference: str, note: str = "") -> RecipeField:
    """A leaf that follows by arithmetic from what ``reference`` names."""
    return RecipeField(name=name, value=value, source="derived", reference=reference, note=note)


def outside(value: float, low: float, high: float) -> float:
    """How many times ``value`` lies outside [low, high]: 1 inside, 2 at twice the high or half the low end."""
    return max(1.0, value / high, low / value)


def placed(factor: float, what: str) -> str:
    """The result of ``outside`` in words, e.g. ``×2 outside its batches``."""
    return f"inside {what}" if factor == 1 else f"×{figures(factor)} outside {what}"


def figures(number: float) -> str:
    """A number in three significant figures for a sentence, e.g. ``1.23e+09`` or ``42``."""
    small_and_whole = abs(number) < 1e6 and number == round(number)
    return f"{number:.0f}" if small_and_whole else f"{number:.3g}"


def _nest(fields: Iterable[RecipeField]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for field in fields:
        *folders, leaf = field.name.split(".")
        branch = tree
        for folder in folders:
            branch = branch.setdefault(folder, {})
        branch[leaf] = field.value
    return tree
