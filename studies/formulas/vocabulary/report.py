"""A vocabulary law as it is stored: both answers, the statement, the coefficients and the evidence."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from model.tokenizer.coverage import MAX_SHARE, MIN_COVERAGE
from studies.formulas.fitting.fit import Interval, covariance_evidence, predict
from studies.formulas.fitting.shapes import Shape
from studies.formulas.formula import Coefficient, Verdict, latex_number
from studies.formulas.verdicts import LEVEL, coefficient, constant
from studies.formulas.vocabulary.forms import VocabularyAnalysis
from studies.formulas.vocabulary.networks import Network
from studies.formulas.vocabulary.rule import Rule
from studies.formulas.vocabulary.study import VocabularyStudy

FACTORS: Mapping[str, str] = {
    "vocabulary_slope": "log2(vocabulary_size / reference_vocabulary_size)",
    "vocabulary_curvature": "log2(vocabulary_size / reference_vocabulary_size) ** 2",
    "vocabulary_skew": "log2(vocabulary_size / reference_vocabulary_size) ** 3",
}
"""What each coefficient multiplies in the formula's expression."""
MIRRORED: Mapping[Shape, str] = {
    "U": "inverted U",
    "monotone decreasing": "monotone increasing",
    "monotone increasing": "monotone decreasing",
    "undetermined": "undetermined",
}
"""Shape of a maximised metric by that of its cost."""


def expression(analysis: VocabularyAnalysis) -> str:
    """The law in Python's notation."""
    return "level + " + " + ".join(f"{name} * {FACTORS[name]}" for name in analysis.terms[1:])


def _best_words(analysis: VocabularyAnalysis) -> str:
    best, low, high = analysis.best_sizes
    if low is None and high is None:
        return "best anywhere among the tried"
    if best is None or low is None or high is None:
        return f"best at {high:.0f} tokens or fewer" if low is None else f"best at {low:.0f} tokens or more"
    return f"best at {best:.0f} tokens ({low:.0f} to {high:.0f})"


def statement(study: VocabularyStudy, analysis: VocabularyAnalysis, rule: Rule) -> str:
    """Both answers in words."""
    shape = shape_name(study, analysis)
    own = "no vocabulary tried" if rule.vocabulary is None else f"{rule.vocabulary:.0f}"
    return f"{study.metric} over vocabulary: {_best_words(analysis)}, shape {shape}; the paper's rule picks {own}"


def latex(study: VocabularyStudy, analysis: VocabularyAnalysis) -> str:
    """The law with its numbers."""
    values = study.context.sign * analysis.curve.fit.mean()
    size = rf"\log_2\frac{{V}}{{{analysis.design.reference:.0f}}}"
    terms = [rf"{size}", rf"\left({size}\right)^2", rf"\left({size}\right)^3"]
    parts = [
        rf"{'-' if value < 0 else '+'} {latex_number(abs(float(value)))}\,{term}"
        for value, term in zip(values[1:], terms[: analysis.curve.degree], strict=False)
    ]
    return f"y = {latex_number(float(values[0]))} " + " ".join(parts)


def shape_name(study: VocabularyStudy, analysis: VocabularyAnalysis) -> str:
    """Of the metric over the vocabulary."""
    return analysis.shape if study.context.direction == "minimize" else MIRRORED[analysis.shape]


def coefficients(
    study: VocabularyStudy, analysis: VocabularyAnalysis, rule: Rule, claim: Coefficient
) -> dict[str, Coefficient]:
    """Both answers, what the rule costs, the paper's claim, and the law's own numbers."""
    best, low, high = analysis.best_sizes
    fitted = analysis.curve.fit
    contrasts = np.eye(fitted.means.shape[1])
    return {
        "best_vocabulary": Coefficient(estimate=best, low=low, high=high, level=LEVEL, unit="tokens"),
        **_rule_coefficients(study, analysis, rule),
        "rule_against_largest": claim,
        "reference_vocabulary_size": constant(analysis.design.reference, "tokens"),
        **{
            name: coefficient(study.oriented(fitted.interval(contrasts[place], LEVEL)), study.metric)
            for place, name in enumerate(analysis.terms)
        },
    }


def _rule_coefficients(study: VocabularyStudy, analysis: VocabularyAnalysis, rule: Rule) -> dict[str, Coefficient]:
    """What is known of the rule; its regret is a loss also where the metric is maximised."""
    sizes = {
        "rule_vocabulary": rule.vocabulary,
        "covering_vocabulary": rule.covering,
        "affordable_vocabulary": rule.affordable,
    }
    known = {name: constant(size, "tokens") for name, size in sizes.items() if size is not None}
    if rule.vocabulary is None:
        return known
    return {**known, "rule_regret": coefficient(analysis.regret(rule.vocabulary), study.metric)}


def claim_coefficient(study: VocabularyStudy, gain: Interval | None, verdict: Verdict) -> Coefficient:
    """The claim, whether or not its number is known."""
    if gain is not None:
        return coefficient(gain, study.metric, study.claim, verdict)
    return Coefficient(
        estimate=None, low=None, high=None, level=LEVEL, unit=study.metric, paper=study.claim, verdict=verdict
    )


def point(row: Network, study: VocabularyStudy) -> dict[str, Any]:
    """One network as the evidence keeps it."""
    return {
        "vocabulary_size": row.vocabulary,
        study.metric: study.context.sign * row.cost,
        "error": math.sqrt(row.variance),
        "parameters": row.parameters,
        "learning_rate": None if row.log_rate is None else math.exp(row.log_rate),
        "edge": row.edge,
        "runs": row.runs,
    }


def evidence(study: VocabularyStudy, analysis: VocabularyAnalysis, rule: Rule) -> dict[str, Any]:
    """What the law was fitted to, and what it was compared with."""
    residuals = study.context.sign * (analysis.problem.response - predict(analysis.curve.fit, analysis.problem))
    return {
        "points": [point(row, study) for row in study.found.rows],
        "axes": ["vocabulary_size", study.metric],
        "residuals": [float(residual) for residual in residuals],
        "covariance": covariance_evidence(analysis.curve.fit, analysis.terms, LEVEL),
        "rivals": analysis.rivals,
        "shape": shape_name(study, analysis),
        "rule": {"coverage_above": MIN_COVERAGE, "share_below": MAX_SHARE, "problem": rule.problem},
        "equal_length": study.grounds.length,
        "covariates": list(analysis.design.covariate_names),
        "jitter": analysis.curve.fit.jitter,
        "profiled": study.found.profiled,
        "run_noise": study.found.noise,
    }
