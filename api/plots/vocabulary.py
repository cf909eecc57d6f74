"""Bits per byte over vocabulary, with both answers: where the law is lowest, and what the paper's rule picks."""

from collections.abc import Sequence

from api.plots.formulas import formula_figure
from api.plots.style import ORANGE, PURPLE, Json, short
from studies.formulas.formula import Coefficient, Formula


def vocabulary_figure(formula: Formula) -> Json:
    """The law's figure, a line at the best vocabulary with its interval, and a line at the rule's."""
    figure = formula_figure(formula)
    best = formula.coefficients.get("best_vocabulary")
    if best is None or "range" not in figure["layout"]["yaxis"]:
        return figure
    axis = figure["layout"]["yaxis"]
    ends = [10**end for end in axis["range"]] if axis["type"] == "log" else axis["range"]
    marks = [*_best(best, formula.domain["vocabulary_size"], ends), *_rule(formula, ends)]
    return {**figure, "data": [*marks, *figure["data"]]}


def _best(best: Coefficient, tried: tuple[float, float], ends: Sequence[float]) -> list[Json]:
    """An open end of the interval is drawn to the end of what was tried."""
    if best.low is None and best.high is None:
        return []
    low = tried[0] if best.low is None else best.low
    high = tried[1] if best.high is None else best.high
    name = "best" if best.estimate is None else f"best: {short(best.estimate)}"
    name += f" ({'…' if best.low is None else short(low)} to {'…' if best.high is None else short(high)})"
    band = {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "legendgroup": "best",
        "x": [low, high, high, low],
        "y": [ends[0], ends[0], ends[1], ends[1]],
        "fill": "toself",
        "fillcolor": "rgba(154, 109, 208, 0.12)",
        "line": {"width": 0, "color": PURPLE},
        "hoverinfo": "skip",
    }
    if best.estimate is None:
        return [band]
    return [{**band, "showlegend": False}, _line(best.estimate, ends, name, PURPLE, "solid", "best")]


def _rule(formula: Formula, ends: Sequence[float]) -> list[Json]:
    rule = formula.coefficients.get("rule_vocabulary")
    if rule is None or rule.estimate is None:
        return []
    regret = formula.coefficients["rule_regret"].estimate
    cost = "" if regret is None else f", {regret:.2g} above the best"
    return [_line(rule.estimate, ends, f"paper's rule: {short(rule.estimate)}{cost}", ORANGE, "dash", "rule")]


def _line(at: float, ends: Sequence[float], name: str, colour: str, dash: str, group: str) -> Json:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "legendgroup": group,
        "x": [at, at],
        "y": list(ends),
        "line": {"color": colour, "width": 2, "dash": dash},
        "hoverinfo": "name",
    }
