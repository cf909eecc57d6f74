"""Formulas: fitted to the trials of a study, or of several together, and read."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from model.errors import InvalidInput
from studies.errors import NotFound
from studies.formulas.formula import Formula, FormulaKind
from studies.formulas.observations import FitContext, Observation, of_the_design
from studies.formulas.regimes import OTHER_NETWORKS, SHARED, TRAINED_ALIKE
from studies.records import ACTIVE_STUDY_STATES, Study, TrialState
from studies.repository import formulas, studies, trials
from studies.service.studies import get_study
from studies.suggestions import Suggestion, left_open, suggested_spec

MAX_TOGETHER = 20
"""Studies that are fitted together (assumed)."""
MAX_TRIALS_TOGETHER = 20_000
"""Their trials: what is fitted while somebody waits (assumed; 10 000 take seconds)."""


def fit(session: Session, study_id: int, finished: bool = True) -> list[Formula]:
    """Fit every law to a study's trials, as its next revision; nothing is stored.

    Of a study that estimates these are the trials of its declared design: see ``of_the_design``.

    Args:
        session: the transaction; it only reads.
        study_id: a study that exists.
        finished: whether the study has ended; before, verdicts are interim.
    """
    from studies.formulas.registry import fit_all  # loads scipy: a second that only fitting need take

    study = studies.get(session, study_id)
    if study is None:
        raise NotFound(f"there is no study {study_id}")
    revision = formulas.latest_revision(session, study_id) + 1
    context = _context([study], finished, revision)
    return fit_all(_observations(session, study), context)


def _context(fitted: Sequence[Study], finished: bool, revision: int) -> FitContext:
    objective = fitted[0].spec["objectives"][0]
    return FitContext(
        studies=tuple(str(study.id) for study in fitted),
        metric=objective["metric"],
        direction=objective["direction"],
        purpose="optimise" if any(study.spec["purpose"] == "optimise" for study in fitted) else "estimate",
        finished=finished,
        revision=revision,
    )


def _observations(session: Session, study: Study) -> list[Observation]:
    rows = of_the_design(trials.page(session, study.id, None, None), study.spec["purpose"])
    return [Observation.from_trial(trial) for trial in rows]


def fit_and_store(session: Session, study_id: int) -> list[Formula]:
    """Fit every law to a study's trials and store them as a new revision.

    Raises:
        NotFound: there is no such study.
    """
    study = studies.get(session, study_id)
    finished = study is not None and study.state not in ACTIVE_STUDY_STATES
    fitted = fit(session, study_id, finished)
    formulas.add(session, study_id, fitted, datetime.now(UTC))
    return fitted


def list_formulas(session: Session, owner: str, study_id: int, others: Sequence[int] = ()) -> list[Formula]:
    """List the newest revision of a study's formulas; with ``others``, those of all these studies together.

    The latter are fitted when they are asked for, and exploratory if one of the studies was.

    Raises:
        NotFound: the owner has no such study.
        InvalidInput: the studies cannot be fitted together; names ``with``.
    """
    study = get_study(session, owner, study_id)
    if not others:
        return formulas.latest(session, study_id)
    from studies.formulas.registry import fit_all

    numbers = [study_id, *(other for other in dict.fromkeys(others) if other != study_id)]
    if len(numbers) > MAX_TOGETHER:
        raise InvalidInput("with", f"{len(numbers)} studies are named", f"give at most {MAX_TOGETHER}")
    together = [get_study(session, owner, number) for number in numbers]
    _check_size(session, together)
    rows = [_observations(session, each) for each in together]
    for other, its_rows in zip(together[1:], rows[1:], strict=True):
        _check_comparable(study, rows[0], other, its_rows)
    finished = all(each.state not in ACTIVE_STUDY_STATES for each in together)
    revision = max([1, *(formulas.latest_revision(session, each.id) for each in together)])
    return fit_all([row for part in rows for row in part], _context(together, finished, revision))


def find_formula(session: Session, owner: str, study_id: int, formula_id: str) -> Formula | None:
    """Find a formula by its id, which names the studies behind it."""
    studies_named, _, _ = formula_id.partition("-")
    numbers = [int(number) for number in studies_named.split("+") if number.isdecimal() and len(number) < 10]
    others = [number for number in numbers if number != study_id]
    known = list_formulas(session, owner, study_id, others[:MAX_TOGETHER])
    return next((formula for formula in known if formula.id == formula_id), None)


def suggest_study(session: Session, owner: str, study_id: int, kind: FormulaKind | None = None) -> Suggestion:
    """A spec whose trials would decide a formula: that of ``kind``, else the first that can be helped.

    Raises:
        NotFound: the owner has no such study.
        InvalidInput: no formula of the study lacks data that a study could supply.
    """
    study = get_study(session, owner, study_id)
    asked = [law for law in formulas.latest(session, study_id) if kind in (None, law.kind)]
    if not asked:
        reason = f"study {study_id} has no {kind or 'fitted'} formula"
        raise InvalidInput("kind", reason, f"see 'formulary formulas {study_id}'")
    undecided_first = sorted(asked, key=lambda law: law.verdict != "undetermined")
    lacking = next((law for law in undecided_first if law.supply is not None or law.verdict == "exploratory"), None)
    if lacking is None:
        verdicts = ", ".join(f"{law.kind} is {law.verdict}" for law in asked)
        raise InvalidInput("kind", f"no further study is suggested: {verdicts}", "read the reasons of the formulas")
    execution = study.spec.get("execution")
    runs = None if execution != "imported" else trials.page(session, study_id, None, None)
    spec = suggested_spec(study.spec, lacking, runs)
    return Suggestion(lacking.id, [*lacking.reasons, *left_open(spec)], spec)


def _check_size(session: Session, together: Sequence[Study]) -> None:
    counts = trials.counts_of(session, [study.id for study in together])
    total = sum(count for states in counts.values() for count in states.values())
    if total > MAX_TRIALS_TOGETHER:
        reason = f"the studies have {total} trials, {MAX_TRIALS_TOGETHER} are fitted together"
        raise InvalidInput("with", reason, "name fewer or smaller studies")


def _check_comparable(study: Study, rows: Sequence[Observation], other: Study, others: Sequence[Observation]) -> None:
    """Check that two studies measure the same thing, on the same text, under a regime that both have."""
    wanted, found = study.spec["objectives"][0], other.spec["objectives"][0]
    if wanted != found:
        said = f"study {other.id} has the objective {found['metric']} ({found['direction']})"
        reason = f"{said}, study {study.id} {wanted['metric']} ({wanted['direction']})"
        raise InvalidInput("with", reason, "name studies of one objective")
    varied = {name for row in (*rows, *others) for name in row.parameters if name in TRAINED_ALIKE}
    for name in (name for name in SHARED if name not in varied):
        own, its = _values_of(rows, name), _values_of(others, name)
        if own and its and not set(own) & set(its):
            said = f"{name} is {_some(its)} in study {other.id} and {_some(own)} in study {study.id}"
            reason = f"{said}; a law of one does not hold for the other"
            raise InvalidInput("with", reason, f"name studies of one {name}")


def _values_of(rows: Sequence[Observation], name: str) -> list[str]:
    """What runs state; of a parent or teacher "none" where a complete run states none."""
    stated = {str(row.attributes[name]) for row in rows if name in row.attributes}
    if name in OTHER_NETWORKS:
        stated |= {"none" for row in rows if row.state is TrialState.COMPLETE and name not in row.attributes}
    return sorted(stated)


def _some(values: Sequence[str]) -> str:
    shown = ", ".join(value[:20] for value in values[:3])
    return shown if len(values) <= 3 else f"{shown} …"
