"""A recipe with what a reader needs to judge it: ranges, regrets, risks, other laws, what the run takes."""

from collections.abc import Iterator

from search.laws import DEEPSEEK
from studies.recipe.basis import Basis
from studies.recipe.defaults import DEEPSEEK_LAW
from studies.recipe.evidence import DataUse
from studies.recipe.fields.decoding import depth_limit
from studies.recipe.fields.frame import frame_of
from studies.recipe.fields.optimization import RATE
from studies.recipe.judging.beside import laws_beside, regime_differences
from studies.recipe.judging.bowls import rate_bowl
from studies.recipe.judging.cells import Cells
from studies.recipe.judging.data_use import MAX_EPOCHS, data_use
from studies.recipe.judging.divergence import divergence_risk
from studies.recipe.judging.expectation import expectation
from studies.recipe.judging.plan import training_plan
from studies.recipe.judging.prediction import predict
from studies.recipe.judging.ranges import field_ranges
from studies.recipe.judging.regret import Asked, regret_curves
from studies.recipe.recipe import Recipe, figures


def with_evidence(recipe: Recipe, basis: Basis) -> Recipe:
    """The same config, with everything that is said about it."""
    config, fields = recipe.config, {field.name: field for field in recipe.fields}
    architecture = config.architecture
    cells = Cells(basis.observations, basis.context)
    asked = Asked(
        basis=basis,
        cells=cells.all,
        bowl=rate_bowl(cells.all),
        frame=frame_of(basis, architecture.head_dim, architecture.vocabulary_size),
        fields=fields,
    )
    curves = {curve.name: curve for curve in regret_curves(asked)}
    beside = tuple(laws_beside(basis, config, fields[RATE]))
    data = data_use(basis, config)
    ranged = recipe.ranged(field_ranges(asked, config, curves, beside))
    return ranged.model_copy(
        update={
            "regrets": tuple(curves.values()),
            "divergence": divergence_risk(basis, cells, fields[RATE], recipe.extrapolation),
            "laws": beside,
            "prediction": predict(basis, config),
            "expectation": expectation(basis, architecture, config.optimization.batch_tokens),
            "data": data,
            "plan": training_plan(config, basis.models),
            "warnings": (*recipe.warnings, *_warnings(recipe, basis, data)),
        }
    )


def _warnings(recipe: Recipe, basis: Basis, data: DataUse) -> Iterator[str]:
    limit = depth_limit(basis)
    if limit is not None and limit.depth is None:
        yield f"{limit.note[0].upper()}{limit.note[1:]}."
    if data.epochs is not None and data.effective_tokens is not None and data.epochs > MAX_EPOCHS:
        yield (
            f"The run makes {figures(data.epochs)} epochs over its corpus; beyond {MAX_EPOCHS:.0f} repeated text is "
            "worth less and less (arXiv 2305.16264): about as much as "
            f"{figures(data.effective_tokens)} tokens seen once."
        )
    resting = [field.name.rpartition(".")[2] for field in recipe.fields if DEEPSEEK_LAW in field.reference]
    differences = regime_differences(DEEPSEEK.name, recipe.config)
    if resting and differences:
        yield f"{' and '.join(resting)} rest on {DEEPSEEK_LAW}, which was {' and '.join(differences)}."
