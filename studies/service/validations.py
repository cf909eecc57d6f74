"""Validations of a study's recipe: planned, created with the studies that train them, judged from their trials."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from sqlalchemy.orm import Session

from model.errors import InvalidInput
from studies.errors import Conflict, NotFound
from studies.recipe import Recipe
from studies.recipe_models import Places, find_models
from studies.records import ACTIVE_STUDY_STATES, StudyState, Validation
from studies.repository import formulas, leases, studies, trials, validations
from studies.service.spaces import MAX_TIMED, measured_speed
from studies.service.studies import add_prepared_study, get_study, prepare_spec
from studies.spec import ImportSpec, StudySpec, stored_spec
from studies.tables import StudyRow
from studies.validation.gate import judge
from studies.validation.judgement import Judgement
from studies.validation.plan import Evidence, plan_validation
from studies.validation.request import ValidationPlan, ValidationRequest
from studies.validation.results import ended_runs, rung_of, runs_of
from studies.validation.statement import Judged, ValidationStatement, statement_of

MAX_LISTED = 100
"""Newest validations that are listed (assumed)."""


@dataclass(frozen=True, slots=True)
class PreparedValidation:
    """A validation that can be stored: its plan, and the checked spec of each size."""

    study_id: int
    request: ValidationRequest
    plan: ValidationPlan
    specs: Sequence[StudySpec]
    earlier: int
    """Validations that the study had when it was planned."""


@dataclass(frozen=True, slots=True)
class RungProgress:
    """How far one size is."""

    study_id: int | None
    """The study that trains it; None where it was deleted."""
    state: StudyState | None
    ended: int
    """Runs that have ended, whatever came of them."""
    runs: int


@dataclass(frozen=True, slots=True)
class JudgedValidation:
    """A validation with what its trials say now."""

    id: int
    study_id: int
    state: Literal["running", "ended"]
    request: ValidationRequest
    plan: ValidationPlan
    rungs: Sequence[RungProgress]
    judgement: Judgement
    created_at: datetime


def prepare_validation(
    session: Session, owner: str, study_id: int, request: ValidationRequest, places: Places
) -> PreparedValidation:
    """Plan a validation of a study's recipe and check that it can be trained; nothing is stored.

    ``places`` hold the networks that its runs may start from or learn from, and ``places.roots`` its corpus.

    Raises:
        NotFound: the owner has no such study.
        Conflict: the study still runs, so that its recipe may change.
        InvalidInput: there is nothing to validate, a size holds no network, the cost exceeds the cap, or the corpus
            cannot be read any more.
    """
    study = get_study(session, owner, study_id)
    spec = stored_spec(study.spec)
    if isinstance(spec, ImportSpec):
        reason = f"study {study_id} was imported: how its runs were trained is not known"
        raise InvalidInput("study", reason, "validate the recipe of a study that was run here")
    if study.state in ACTIVE_STUDY_STATES:
        raise Conflict(f"study {study_id} is {study.state}; its recipe can be validated once it has ended")
    stored = trials.page(session, study_id, None, None)
    speed = measured_speed(stored[:MAX_TIMED])
    earlier = validations.count(session, study_id)
    evidence = Evidence(
        spec=spec,
        trials=stored,
        formulas=formulas.latest(session, study_id),
        flops_per_second=None if speed is None else speed.flops_per_second,
        earlier=earlier,
        models=find_models(session, owner, spec, None, places),
    )
    planned = plan_validation(evidence, request)
    specs = [prepare_spec(rung.model_dump(mode="json"), places.roots or ()) for rung in planned.specs]
    return PreparedValidation(study_id, request, planned.plan, specs, earlier)


def add_validation(session: Session, owner: str, prepared: PreparedValidation) -> Validation:
    """Store a validation with a queued study for each of its sizes, the smallest first.

    Raises:
        NotFound: the owner has no such study any more.
        Conflict: another validation of it was created since this one was planned.
    """
    study_id = prepared.study_id
    leases.lock(session, StudyRow, study_id)
    get_study(session, owner, study_id)
    if validations.count(session, study_id) != prepared.earlier:
        raise Conflict(f"another validation of study {study_id} has just been created; see it, or try again")
    rungs = [add_prepared_study(session, owner, spec).id for spec in prepared.specs]
    request, plan = prepared.request.model_dump(mode="json"), prepared.plan.model_dump(mode="json")
    studies.touch(session, study_id)
    return validations.add(session, study_id, request, plan, rungs, datetime.now(UTC))


def find_unfinished_validation(
    session: Session, owner: str, study_id: int, request: ValidationRequest
) -> JudgedValidation | None:
    """The newest validation of this very request that still runs.

    Raises:
        NotFound: the owner has no such study.
    """
    found = (one for one in list_validations(session, owner, study_id) if one.request == request)
    return next((one for one in found if one.state == "running"), None)


def get_validation(session: Session, owner: str, study_id: int, validation_id: int) -> JudgedValidation:
    """Judge a validation by its trials as they are now.

    Raises:
        NotFound: the owner has no such study, or it has no such validation.
    """
    get_study(session, owner, study_id)
    validation = validations.get(session, validation_id)
    if validation is None or validation.study_id != study_id:
        raise NotFound(f"study {study_id} has no validation {validation_id}")
    return judged(session, validation)


def list_validations(session: Session, owner: str, study_id: int) -> list[JudgedValidation]:
    """List the newest validations of a study's recipe, newest first.

    Raises:
        NotFound: the owner has no such study.
    """
    get_study(session, owner, study_id)
    return [judged(session, validation) for validation in validations.of_study(session, study_id, MAX_LISTED)]


def validation_of(session: Session, study_id: int) -> Validation | None:
    """The validation of which a study trains one size."""
    return validations.owning(session, study_id)


def validation_statement(session: Session, study_id: int, recipe: Recipe) -> ValidationStatement:
    """Say how far a study's recipe for a target was validated."""
    found = (judged(session, one) for one in validations.of_study(session, study_id, MAX_LISTED))
    return statement_of(recipe, [Judged(one.id, one.plan, one.judgement) for one in found])


def judged(session: Session, validation: Validation) -> JudgedValidation:
    """A stored validation with what its trials say now."""
    plan = ValidationPlan.model_validate(validation.plan)
    rungs, progress = [], []
    for rung, study_id in zip(plan.rungs, validation.rungs, strict=True):
        stored = [] if study_id is None else trials.listed(session, study_id, range(runs_of(rung)))
        state = None if study_id is None else studies.state_of(session, study_id)
        rungs.append(rung_of(rung, stored))
        progress.append(RungProgress(study_id, state, ended_runs(rung, stored), runs_of(rung)))
    running = any(one.state in ACTIVE_STUDY_STATES for one in progress)
    found = judge(rungs, plan.margin, plan.total_parameters)
    return JudgedValidation(
        id=validation.id,
        study_id=validation.study_id,
        state="running" if running else "ended",
        request=ValidationRequest.model_validate(validation.request),
        plan=plan,
        rungs=progress,
        judgement=_interim(found, progress) if running else found,
        created_at=validation.created_at,
    )


def _interim(judgement: Judgement, progress: Sequence[RungProgress]) -> Judgement:
    """The numbers of the runs that have ended, without a verdict: looking early must not decide."""
    ended, runs = sum(one.ended for one in progress), sum(one.runs for one in progress)
    reasons = (f"{ended} of {runs} runs have ended; the verdict comes with the last one",)
    return judgement.model_copy(update={"verdict": None, "reasons": reasons, "seeds_needed": None})
