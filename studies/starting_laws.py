"""The law that a study starts from: a published one, or that of an earlier study."""

import math
from collections.abc import Sequence

from sqlalchemy.orm import Session

from model.errors import InvalidInput
from search.laws import PUBLISHED_LAWS, Law, Power, SizeConvention
from studies.formulas.evaluation import evaluate
from studies.formulas.formula import Formula
from studies.repository import formulas, studies
from studies.spec import StudySpec

RATE_KIND = "learning_rate_batch"


def starting_law(session: Session, owner: str, spec: StudySpec) -> Law | None:
    """The law that ``spec`` starts from: the published one that it names, else that of the first study that has one."""
    name = spec.start.law
    if name is not None and name != "study":
        return PUBLISHED_LAWS[name]
    laws = (_law_of_study(session, owner, study_id, spec) for study_id in spec.start.studies)
    return next((law for law in laws if law is not None), None)


def check_starting_law(session: Session, owner: str, spec: StudySpec) -> None:
    """Check that a law that is to come from earlier studies is there.

    Raises:
        InvalidInput: none of the studies has one.
    """
    if spec.start.law != "study" or starting_law(session, owner, spec) is not None:
        return
    listed = ", ".join(map(str, spec.start.studies))
    reason = f"study {listed} has no {RATE_KIND} law with numbers for this parametrisation"
    raise InvalidInput("start.law", reason, "see 'formulary formulas ID', name another study, or write law: step_law")


def formula_law(formula: Formula) -> Law | None:
    """A fitted principal formula as a law of the best rate over the batch; None where it has no numbers.

    It says nothing of other sizes and lengths, nor of the best batch. A form that bends becomes the power through the
    ends of its domain.
    """
    domain = formula.domain.get("batch_tokens")
    unknown = any(coefficient.estimate is None for coefficient in formula.coefficients.values())
    if formula.kind != RATE_KIND or formula.variant or domain is None or unknown:
        return None
    low, high = domain
    reference = math.sqrt(low * high)
    rates = [evaluate(formula, {"batch_tokens": batch}).estimate for batch in (low, reference, high)]
    exponent = math.log(rates[2] / rates[0]) / math.log(high / low) if high > low else 0.0
    return Law(
        name=f"study {'+'.join(formula.studies)}",
        source=f"formula {formula.id}, revision {formula.revision}, {formula.verdict}, batches {low:g} to {high:g}",
        size_convention=_size_convention(formula),
        rate=Power(rates[1]),
        batch_exponent=exponent,
        reference_batch=reference,
    )


def joint_law(formulas: Sequence[Formula]) -> Law | None:
    """lr*(N, D) at B*(D) as a law of size, length and batch; None where a study has not determined both.

    Away from the best batch the best rate moves as the ``joint_rate`` law says of four times less and four times more.
    """
    found = {formula.variant: formula for formula in formulas if formula.kind == RATE_KIND and formula.expression}
    rate, batch = found.get("rate_at_best_batch"), found.get("best_batch")
    if rate is None or batch is None:
        return None
    below, above = _exponents(found.get("joint_rate"), batch)
    return Law(
        name=f"study {'+'.join(rate.studies)}",
        source=f"formulas {rate.id} and {batch.id}, revision {rate.revision}",
        size_convention=_size_convention(rate),
        rate=_power(rate, "c", (rate.size_convention, "a"), ("train_tokens", "b")),
        batch=_power(batch, "c_batch", None, ("train_tokens", "e")),
        batch_exponent=below,
        exponent_above=above,
    )


def _power(formula: Formula, level: str, size: tuple[str, str] | None, tokens: tuple[str, str]) -> Power:
    """Coefficient · N^size · D^tokens, of a formula that is written about references."""
    numbers = {name: value.estimate for name, value in formula.coefficients.items() if value.estimate is not None}
    log, exponents = math.log(numbers[level]), [0.0, 0.0]
    for place, pair in enumerate((size, tokens)):
        if pair is not None and pair[1] in numbers:
            exponents[place] = numbers[pair[1]]
            log -= exponents[place] * math.log(numbers[f"reference_{pair[0]}"])
    return Power(math.exp(log), size=exponents[0], tokens=exponents[1])


def _exponents(formula: Formula | None, batch: Formula) -> tuple[float, float]:
    """R below and above the best batch, at the formulas' references; 0 where it is not known."""
    best = batch.coefficients["c_batch"].estimate
    if formula is None or best is None:
        return 0.0, 0.0
    lower, middle, upper = (evaluate(formula, {"batch_tokens": best * factor}).estimate for factor in (1 / 4, 1, 4))
    return math.log(middle / lower) / math.log(4), math.log(upper / middle) / math.log(4)


def _size_convention(formula: Formula) -> SizeConvention:
    return "non_embedding_parameters" if formula.size_convention == "non_embedding_parameters" else "total_parameters"


def _law_of_study(session: Session, owner: str, study_id: int, spec: StudySpec) -> Law | None:
    study = studies.get(session, study_id)
    if study is None or study.owner != owner:
        return None
    return _first(formulas.latest(session, study_id), "mup" if spec.proxy.init_scheme == "mup" else "standard")


def _first(fitted: Sequence[Formula], parametrisation: str) -> Law | None:
    """The joint law of a study where it has one, else that of the batch."""
    own = [formula for formula in fitted if formula.parametrisation == parametrisation]
    return joint_law(own) or next((law for law in map(formula_law, own) if law is not None), None)
