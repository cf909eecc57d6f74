"""The vocabulary law (paper F1): how large a vocabulary should be at equal parameters and equal bytes or FLOPs.

Two answers side by side: where bits per byte are lowest (``best_vocabulary``), and the paper's rule
(``rule_vocabulary``, see ``rule``), with what following the rule costs (``rule_regret``). Each network counts with the
metric at its own best learning rate; depth and the other parameters are covariates.

The claim, declared beforehand: the compact vocabulary that the rule picks is no worse than the largest one tried
(``rule_against_largest``, a sign). The paper has it at about 1B parameters, with 48k tokens against 100 883: average
score 42.41 before, 44.11 after.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from studies.formulas.evaluation import curve_points
from studies.formulas.fitting.fit import Interval, determined
from studies.formulas.formula import Formula, Verdict
from studies.formulas.observations import FitContext, Observation, ranges
from studies.formulas.supply import Side, more_rates, more_trials
from studies.formulas.verdicts import Domain, Ground, further_trials, overlaps, position
from studies.formulas.vocabulary import report
from studies.formulas.vocabulary.forms import VocabularyAnalysis, analyse, build_design, build_problem
from studies.formulas.vocabulary.grounds import find_grounds, mean_size, split_sizes
from studies.formulas.vocabulary.networks import build_networks
from studies.formulas.vocabulary.rule import Rule, find_rule
from studies.formulas.vocabulary.study import VocabularyStudy
from studies.formulas.vocabulary.supply import larger_networks, larger_sizes, more_sizes

KIND: Final = "vocabulary"
PAPER_DOMAIN: Domain = {"vocabulary_size": (8_000, 100_883), "total_parameters": (0.5e9, 2e9)}
"""The paper's vocabularies (F1); about 1B parameters, read as 0.5B to 2B (assumed)."""
DOMAIN_COLUMNS = (
    "vocabulary_size",
    "depth",
    "width",
    "ffn_ratio",
    "batch_tokens",
    "total_parameters",
    "non_embedding_parameters",
    "train_bytes",
    "train_flops",
    "train_tokens",
    "embedding_share",
)
MIN_SIZES = 4
MIN_FREEDOM = 3
"""Residual degrees of freedom of the parabola (assumed)."""
MAX_EDGE_SHARE = 0.25
"""Share of profiles at the edge of the rates beyond which no verdict is given (assumed)."""
CURVE_POINTS = 25


def fit_vocabulary(observations: Sequence[Observation], context: FitContext) -> Sequence[Formula]:
    """Fit the law at each size that the trials share; none where the vocabulary did not vary.

    The largest size at which it is determined gives the principal formula, the others give variants of it.
    """
    rows = [row for row in observations if (row.number_of("vocabulary_size") or 0) >= 1]
    if len({row.number_of("vocabulary_size") for row in rows}) < 2:
        return ()
    parts = split_sizes(rows)
    formulas = [_fit(part, context) for part in parts]
    if len(parts) == 1:
        return formulas
    order = sorted(range(len(parts)), key=lambda place: (bool(formulas[place].expression), place), reverse=True)
    return [_at_size(formulas[place], parts[place], context, principal=place == order[0]) for place in order]


def _at_size(formula: Formula, rows: Sequence[Observation], context: FitContext, principal: bool) -> Formula:
    """A formula of one of several sizes, which it names."""
    size = mean_size(rows)
    variant = "" if principal else f"{size:.0f}_parameters"
    said = f"{formula.statement} (at {size:.3g} parameters)"
    return formula.model_copy(update={"id": context.formula_id(KIND, variant), "variant": variant, "statement": said})


def _fit(observations: Sequence[Observation], context: FitContext) -> Formula:
    grounds = find_grounds(observations, context)
    found = build_networks(observations, grounds.context)
    study = VocabularyStudy(observations, grounds, found)
    if grounds.problem is not None:
        return _without_fit(study, grounds.problem, grounds.supply)
    missing = MIN_SIZES - len(found.sizes)
    if missing > 0:
        reason = (
            f"{MIN_SIZES - missing} usable vocabularies cannot show an optimum: add {missing} "
            f"({missing * study.runs_each} further trials at the rates already used)"
        )
        return _without_fit(study, reason, more_sizes(observations, missing * study.runs_each))
    design = build_design(found.rows)
    problem = build_problem(found.rows, design)
    freedom = len(found.rows) - 1 - problem.columns.shape[1]
    if freedom < MIN_FREEDOM or not determined(problem.columns, problem.groups):
        more = max(MIN_FREEDOM - freedom, 1)
        beside = f" beside {', '.join(design.covariate_names)}" if design.covariate_names else ""
        reason = (
            f"{len(found.rows)} networks cannot tell a bowl over the vocabulary{beside}: add {more} or more "
            f"({more * study.runs_each} further trials)"
        )
        return _without_fit(study, reason, more_sizes(observations, more * study.runs_each))
    return _formula(study, analyse(problem, design))


def _without_fit(study: VocabularyStudy, reason: str, supply: Mapping[str, Any] | None) -> Formula:
    """The law with its claim, no numbers, and what is missing."""
    verdict = Ground(study.context, False).verdict("across")
    return Formula(
        id=study.context.formula_id(KIND),
        revision=study.context.revision,
        kind=KIND,
        form="quadratic_log_vocabulary",
        statement=f"{study.metric} over vocabulary at equal parameters and text, not determined",
        latex=r"y = a + b\log_2 V + c\left(\log_2 V\right)^2",
        studies=study.context.studies,
        size_convention=study.grounds.convention,
        observations=len(study.observations),
        domain=ranges(study.observations, DOMAIN_COLUMNS),
        held_out_error=None,
        held_out_unit=study.metric,
        coefficients={"rule_against_largest": report.claim_coefficient(study, None, verdict)},
        verdict=verdict,
        reasons=(reason,),
        supply=None if supply is None else dict(supply),
        evidence={
            "points": [report.point(row, study) for row in study.found.rows],
            "curve": [],
            "residuals": [],
            "shape": "undetermined",
            "axes": ["vocabulary_size", study.metric],
        },
    )


def _formula(study: VocabularyStudy, analysis: VocabularyAnalysis) -> Formula:
    sizes = study.found.sizes
    rule = find_rule(study.observations, sizes[0], sizes[-1])
    domain = ranges(study.observations, DOMAIN_COLUMNS)
    ground = Ground(study.context, overlaps(domain, PAPER_DOMAIN))
    judgement = _judge(study, analysis, rule, ground)
    formula = Formula(
        id=study.context.formula_id(KIND),
        revision=study.context.revision,
        kind=KIND,
        form=analysis.form,
        expression=report.expression(analysis),
        statement=report.statement(study, analysis, rule),
        latex=report.latex(study, analysis),
        studies=study.context.studies,
        size_convention=study.grounds.convention,
        observations=study.found.runs,
        domain=domain,
        held_out_error=analysis.held_out,
        held_out_unit=study.metric,
        coefficients=report.coefficients(
            study, analysis, rule, report.claim_coefficient(study, judgement.gain, judgement.verdict)
        ),
        verdict=judgement.verdict,
        reasons=(*judgement.reasons, *_remarks(study, analysis)),
        supply=None if judgement.supply is None else dict(judgement.supply),
        evidence=report.evidence(study, analysis, rule),
    )
    curve = curve_points(formula, "vocabulary_size", study.metric, CURVE_POINTS)
    return formula.model_copy(update={"evidence": {**formula.evidence, "curve": curve}})


@dataclass(frozen=True, slots=True)
class _Judgement:
    verdict: Verdict
    gain: Interval | None
    """Metric at the rule's vocabulary less that at the largest tried."""
    reasons: tuple[str, ...]
    supply: Mapping[str, Any] | None = None


def _judge(study: VocabularyStudy, analysis: VocabularyAnalysis, rule: Rule, ground: Ground) -> _Judgement:
    """The verdict on the rule's vocabulary against the largest one tried, and what would decide it."""
    undetermined = ground.verdict("across")
    largest = study.found.sizes[-1]
    gain = None if rule.vocabulary is None else study.oriented(analysis.difference(rule.vocabulary, largest))
    if obstacle := _obstacle(study):
        return _Judgement(undetermined, gain, (obstacle[0],), obstacle[1])
    if gain is None:
        supply = larger_networks(study.observations, rule.share_needed) if rule.share_needed else None
        return _Judgement(undetermined, None, (str(rule.problem),), supply)
    if rule.vocabulary == largest:
        reason = "the rule picks the largest vocabulary tried, so that it is compared with nothing: try larger ones"
        return _Judgement(undetermined, gain, (reason,), larger_sizes(study.observations, 2 * study.runs_each))
    region = study.claim.region
    said = (
        f"{study.metric} at the rule's {rule.vocabulary:.0f} tokens less that at {largest:.0f}: {gain.estimate:+.3g} "
        f"({gain.low:.3g} to {gain.high:.3g})"
    )
    where = position(gain, region)
    if where != "across":
        return _Judgement(ground.verdict(where), gain, (said,))
    more = further_trials(gain, region, study.found.runs)
    return _Judgement(undetermined, gain, (said, more), more_trials(study.observations, gain, 0.0))


def _obstacle(study: VocabularyStudy) -> tuple[str, Mapping[str, Any]] | None:
    """Why no verdict can be given whatever the interval, and what would supply it."""
    found = study.found
    if study.grounds.convention != "total_parameters":
        reason = (
            "only the parameters beside the embedding are equal, so that a larger vocabulary is a larger network: "
            f"repeat the {len(study.observations)} trials with constraints.total_parameters"
        )
        return reason, larger_networks(study.observations, None)
    if not found.profiled:
        reason = (
            "learning rates were not profiled (fewer than 3 usable rates for most networks), so that rates are "
            f"compared along with vocabularies: train every network at 3 rates or more ({3 * len(found.rows)} trials)"
        )
        return reason, more_rates(study.observations, "both", len(found.rows))
    if found.at_edge > MAX_EDGE_SHARE * len(found.rows):
        edges = {row.edge for row in found.rows}
        side: Side = "both" if {"low", "high"} <= edges else "low" if "low" in edges else "high"
        reason = (
            f"the best rate lies at the edge of the tried rates in {found.at_edge} of {len(found.rows)} networks: "
            f"extend the rates there ({2 * len(found.rows)} further trials)"
        )
        return reason, more_rates(study.observations, side, len(found.rows))
    return None


def _remarks(study: VocabularyStudy, analysis: VocabularyAnalysis) -> tuple[str, ...]:
    found = study.found
    best = min(analysis.rivals, key=lambda name: analysis.rivals[name])
    remarks = {
        f"left-out networks are predicted better by the form {best}": best in ("constant", "linear_log_vocabulary"),
        f"{found.at_edge} profiles end at the edge of the tried rates: their values are upper bounds of the cost": (
            found.at_edge
        ),
        f"{found.left_out} networks without a usable profile were left out": found.left_out,
        f"{found.diverged} failed or diverged runs were not fitted": found.diverged,
        f"vocabularies are compared at equal {study.grounds.length}": True,
    }
    return tuple(remark for remark, applies in remarks.items() if applies)
