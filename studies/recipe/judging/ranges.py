"""Between which values a recommended field may lie: the interval of a law, else what trials cannot tell apart."""

from studies.recipe.defaults import PAPER_EMBEDDING_SHARE
from studies.recipe.evidence import FieldRange, LawBeside, RegretCurve
from studies.recipe.fields.depth import DEPTH, growth_of_depth
from studies.recipe.fields.optimization import BATCH, RATE, point_of, rate_law
from studies.recipe.fields.vocabulary import BEST_VOCABULARY, RULE_VOCABULARY, VOCABULARY
from studies.recipe.judging.regret import CURVES, Asked
from studies.recipe.laws import (
    BEST_BATCH,
    BEST_DEPTH,
    DEPTH_KIND,
    RATE_KIND,
    VOCABULARY_KIND,
    Use,
    ask,
    interval_words,
    label,
    newest,
)
from studies.recipe.recipe import figures
from trainer.config import PretrainConfig

WIDTH = "architecture.width"


def field_ranges(
    asked: Asked, config: PretrainConfig, curves: dict[str, RegretCurve], beside: tuple[LawBeside, ...]
) -> dict[str, FieldRange]:
    """The range of each recommended field, by its name."""
    depth = _depth(asked)
    found = {
        RATE: _rate(asked, config, beside),
        BATCH: _batch(asked, config, curves[BATCH]),
        DEPTH: depth,
        WIDTH: _width(asked, depth),
        VOCABULARY: _vocabulary(asked, curves[VOCABULARY]),
    }
    return {name: found.get(name) or _indifferent(curves[name]) for name in CURVES}


def _unknown(why: str) -> FieldRange:
    return FieldRange(low=None, high=None, basis=f"unknown: {why}")


def _of_law(found: Use, basis: str) -> FieldRange:
    """The interval of a law's value; one without width is none."""
    if found.value.low == found.value.high:
        return _unknown(f"{label(found.formula)} states no interval")
    return FieldRange(
        low=found.value.low, high=found.value.high, basis=f"95 % interval of {label(found.formula)}{basis}"
    )


def _rate(asked: Asked, config: PretrainConfig, beside: tuple[LawBeside, ...]) -> FieldRange:
    """The law's interval; else the rates that the bowl cannot tell apart; else what published laws give."""
    field, basis = asked.field(RATE), asked.basis
    found, _ = rate_law(basis, config.architecture, config.optimization.batch_tokens)
    if found is not None and field.source == "formula":
        return _of_law(found, f", {found.where}")
    rate = config.optimization.learning_rate
    if asked.bowl is not None and field.source == "trial":
        factor = asked.bowl.indifference()
        words = "rates whose loss is within what one run scatters, by the bowl of the trials"
        return FieldRange(low=rate / factor, high=rate * factor, basis=words)
    known = [law.learning_rate for law in beside if law.learning_rate is not None]
    return FieldRange(low=min(known), high=max(known), basis="what this recipe and published laws give: no interval")


def _batch(asked: Asked, config: PretrainConfig, curve: RegretCurve) -> FieldRange:
    found, _ = ask(asked.basis, RATE_KIND, BEST_BATCH, point_of(asked.basis, config.architecture))
    if found is not None:
        return _capped(_of_law(found, f", {found.where}"), asked)
    return _capped(_indifferent(curve), asked)


def _capped(found: FieldRange, asked: Asked) -> FieldRange:
    """The range up to the largest batch that the target accepts."""
    most = asked.basis.target.max_batch_tokens
    if most is None or found.high is None or found.high <= most:
        return found
    low = None if found.low is None else min(found.low, most)
    return FieldRange(low=low, high=most, basis=f"{found.basis}; cut at max_batch_tokens")


def _depth(asked: Asked) -> FieldRange:
    """The interval of the law that gave the depth; that of an undecided law is quoted as such."""
    formulas, depth = asked.basis.formulas, asked.number(DEPTH)
    found, _ = growth_of_depth(asked.basis, asked.frame)
    if found is not None:
        return _of_law(found, f", {found.where}")
    law = newest(formulas, DEPTH_KIND)
    best = law.coefficients.get(BEST_DEPTH) if law else None
    if law is None or best is None or best.estimate is None or (best.low is None and best.high is None):
        return _unknown("no law bounds the best depth")
    scale = 1.0 if asked.basis.same_scale else depth / best.estimate
    ends = (None if end is None else end * scale for end in (best.low, best.high))
    moved = (
        "" if scale == 1 else f", moved to this size by ×{figures(scale)} (assumed: the interval grows with the depth)"
    )
    return FieldRange(low=next(ends), high=next(ends), basis=f"{interval_words(best)} of {label(law)}{moved}")


def _width(asked: Asked, depth: FieldRange) -> FieldRange:
    """The widths that spend the budget at the ends of the depth's range."""
    if not depth.known:
        return _unknown("it follows from the depth, whose range is not known")
    narrow, wide = (_width_at(asked, end) for end in (depth.high, depth.low))
    return FieldRange(low=narrow, high=wide, basis="the widths that spend the budget at the ends of the depth's range")


def _width_at(asked: Asked, depth: float | None) -> float | None:
    shape = None if depth is None else asked.frame.solve(max(round(depth), 1))
    return None if shape is None else float(shape.width)


def _vocabulary(asked: Asked, curve: RegretCurve) -> FieldRange:
    law = newest(asked.basis.formulas, VOCABULARY_KIND)
    best = law.coefficients.get(BEST_VOCABULARY) if law else None
    rule = law.coefficients.get(RULE_VOCABULARY) if law else None
    if law and best and (best.low is not None or best.high is not None):
        also = f"; the paper's rule gives {rule.estimate:.0f}" if rule and rule.estimate else ""
        return FieldRange(low=best.low, high=best.high, basis=f"{interval_words(best)} of {label(law)}{also}")
    if curve.points:
        return _indifferent(curve)
    frame, depth = asked.frame, round(asked.number(DEPTH))
    largest = asked.number(VOCABULARY) * PAPER_EMBEDDING_SHARE / frame.embedding_share(depth)
    words = f"the high end is where its tables take {PAPER_EMBEDDING_SHARE:.0%} (PanGu-π Pro, F1); else {curve.basis}"
    return FieldRange(low=None, high=largest, basis=words)


def _indifferent(curve: RegretCurve) -> FieldRange:
    """The values that the curve does not tell from the recommended one: their intervals hold no cost."""
    if not curve.points:
        return FieldRange(low=None, high=None, basis=curve.basis)
    if not isinstance(curve.recommended, int | float):
        return _unknown("it is a choice between kinds; see what they cost")
    near = [point.value for point in curve.points if point.low <= 0]
    values = [float(value) for value in (*near, curve.recommended) if isinstance(value, int | float)]
    words = f"values whose cost may be nothing (95 %), by {curve.basis}"
    return FieldRange(low=min(values), high=max(values), basis=words)
