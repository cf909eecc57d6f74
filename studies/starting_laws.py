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
    """A fitted formula as a law of the best rate over the batch; None where it has no numbers.

    It says nothing of other sizes and lengths, nor of the best batch. A broken power becomes the power through the
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


def _size_convention(formula: Formula) -> SizeConvention:
    return "non_embedding_parameters" if formula.size_convention == "non_embedding_parameters" else "total_parameters"


def _law_of_study(session: Session, owner: str, study_id: int, spec: StudySpec) -> Law | None:
    study = studies.get(session, study_id)
    if study is None or study.owner != owner:
        return None
    return _first(formulas.latest(session, study_id), "mup" if spec.proxy.init_scheme == "mup" else "standard")


def _first(fitted: Sequence[Formula], parametrisation: str) -> Law | None:
    laws = (formula_law(formula) for formula in fitted if formula.parametrisation == parametrisation)
    return next((law for law in laws if law is not None), None)
