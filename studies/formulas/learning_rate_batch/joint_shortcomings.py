"""Joint laws that the grids do not determine: what is missing, and the trials that would supply it."""

from collections.abc import Mapping, Sequence

from studies.formulas.formula import Coefficient, Formula
from studies.formulas.learning_rate_batch import best_batch, joint_rate_formula, rate_at_best_batch, supply
from studies.formulas.learning_rate_batch.joint_parts import EXPONENTS, SYMBOLS, Law, Request, build
from studies.formulas.learning_rate_batch.joint_table import LENGTH, JointTable
from studies.formulas.learning_rate_batch.optima import MIN_GRID_BATCHES
from studies.formulas.observations import Observation
from studies.formulas.verdicts import LEVEL

MORE_BATCHES = 2
"""Further batches asked for beyond an edge (assumed)."""
Shortcoming = tuple[str, supply.Patch | None]
LAWS: Mapping[str, Law] = {
    joint_rate_formula.VARIANT: Law(
        "power",
        "",
        "lr* = c·N^a·D^b·(B/B0)^r, not determined",
        r"\eta^{*} = c\,N^{a}D^{b}(B/B_0)^{r}",
        {},
    ),
    rate_at_best_batch.VARIANT: Law(
        "power", "", "lr* = c·N^a·D^b at B*, not determined", r"\eta^{*} = c\,N^{a}D^{b}", {}
    ),
    best_batch.VARIANT: Law("power", "", "B* = c·D^e, not determined", r"B^{*} = c\,D^{e}", {}),
}
AXES: Mapping[str, tuple[str, str]] = {
    joint_rate_formula.VARIANT: ("batch_tokens", "learning_rate"),
    rate_at_best_batch.VARIANT: ("predicted_learning_rate", "learning_rate"),
    best_batch.VARIANT: (LENGTH, "batch_tokens"),
}


def formula_without_fit(
    request: Request, table: JointTable, variant: str, observations: Sequence[Observation]
) -> Formula:
    """One variant without numbers, with what it lacks."""
    reason, patch = _between_grids(table, observations) or _best_batches(table, observations)
    law = LAWS[variant]
    names = ("e",) if variant == best_batch.VARIANT else tuple(EXPONENTS[name] for name in table.varied)
    unknown = {name: Coefficient(estimate=None, low=None, high=None, level=LEVEL) for name in names}
    return build(
        request,
        variant,
        Law(law.form, law.expression, law.statement, law.latex, unknown),
        {"points": [], "curve": [], "residuals": [], "axes": list(AXES[variant])},
        size_name=table.size_name,
        observations=len(observations),
        held_out=(None, "log batch" if variant == best_batch.VARIANT else "log learning rate"),
        reasons=(reason,),
        supply=patch,
    )


def _between_grids(table: JointTable, observations: Sequence[Observation]) -> Shortcoming | None:
    """Too few grids, or sizes that grow with lengths."""
    symbols = " and ".join(SYMBOLS[name] for name in table.varied)
    needed = len(table.varied) + 2 - len(table.grid_ids)
    lengths = list(table.values[LENGTH].values())
    if needed > 0:
        trials = needed * len(observations) // len(table.grid_ids)
        reason = (
            f"{len(table.grid_ids)} grids of different size or length do not determine the exponents of {symbols} with "
            f"an error: add {needed} grid(s) of other sizes or lengths (about {trials} further trials)"
        )
        patch = supply.another_length(observations, lengths)
        if LENGTH in table.varied and table.size_name in table.varied:
            patch = supply.another_size(observations, table.size_name, list(table.values[table.size_name].values()))
        return reason, patch
    if len(table.varied) == 2 and _grow_together(table):
        reason = (
            "sizes and lengths grow together, so that their exponents cannot be told apart: add a grid whose length "
            f"is {supply.SIZE_FACTOR:g} times another's at its size "
            f"(about {len(observations) // len(table.grid_ids)} further trials)"
        )
        return reason, supply.another_length(observations, lengths)
    return None


def _grow_together(table: JointTable) -> bool:
    sizes, lengths = (table.grid_columns((name,), table.grid_ids)[:, 0] for name in table.varied)
    centred = sizes - sizes.mean(), lengths - lengths.mean()
    return bool((centred[0] @ centred[1]) ** 2 > (1 - 1e-6) * (centred[0] @ centred[0]) * (centred[1] @ centred[1]))


def _best_batches(table: JointTable, observations: Sequence[Observation]) -> Shortcoming:
    """Grids whose best batch is not bracketed, or that have too few batches for one."""
    edges = [found.edge for found in table.optima.values()]
    low, high = edges.count("low"), edges.count("high")
    if low or high:
        reason = (
            f"the best batch is below the smallest tried one in {low} and above the largest in {high} of {len(edges)} "
            f"grids: extend the batches on that side by {MORE_BATCHES}"
        )
        return reason, supply.batches(observations, MORE_BATCHES * (low > 0), MORE_BATCHES * (high > 0))
    reason = (
        f"{len(edges)} of {len(table.grid_ids)} grids have the {MIN_GRID_BATCHES} batches or more, around the best "
        f"one, that show it: add {MORE_BATCHES} batches at the rates already used"
    )
    return reason, supply.batches(observations, MORE_BATCHES // 2, MORE_BATCHES // 2)
