"""Studies that go on: points that users give, and more trials."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from model.errors import InvalidInput
from search.events import Value
from search.given import given_point
from search.orders import EnqueuedPoint
from search.origins import ENQUEUED_POINT, ORIGIN
from search.space import Space
from studies.digest import document_digest
from studies.errors import Conflict
from studies.records import ACTIVE_STUDY_STATES, Study, StudyState
from studies.repository import leases, points, queue, studies
from studies.service.studies import get_study
from studies.spec import MAX_POINTS, MAX_TRIALS, GivenPoint, ImportSpec, StudySpec, build_space, stored_spec
from studies.tables import StudyRow

MAX_WAITING = 10_000
"""Most points of a study that wait (assumed: a driver reads them every second)."""

Key = frozenset[tuple[str, Value]]


class EnqueueRequest(BaseModel):
    """Outer points that are to run first: one, or a list of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    parameters: GivenPoint | Annotated[tuple[GivenPoint, ...], Field(min_length=1, max_length=MAX_POINTS)]
    """A value of every parameter of the space; solved ones may be left out."""
    allow_duplicates: bool = False
    """Whether a point is trained again that was tried before."""


class ExtendRequest(BaseModel):
    """How many trials a study is to have in addition."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    trials: Annotated[int, Field(ge=1, le=MAX_TRIALS)]


def enqueue_points(session: Session, owner: str, study_id: int, request: EnqueueRequest) -> list[EnqueuedPoint]:
    """Let a study try points before those of its sampler; a driver that runs picks them up.

    Raises:
        NotFound: the owner has no such study.
        InvalidInput: a point lies outside of the space, or was tried before; or the study was imported.
        Conflict: the study has ended, or has no room for so many points.
    """
    study, spec = _own(session, owner, study_id)
    if study.state not in ACTIVE_STUDY_STATES - {StudyState.STOPPING}:
        raise Conflict(f"study {study_id} is {study.state}; extend it first (:extend), then enqueue the points")
    space, given = build_space(spec), request.parameters
    one = isinstance(given, Mapping)
    fields = ["parameters"] if one else [f"parameters.{index}" for index in range(len(given))]
    values = [
        given_point(space, point, field).values
        for point, field in zip([given] if isinstance(given, Mapping) else given, fields, strict=True)
    ]
    repeated = request.allow_duplicates or spec.allow_duplicates
    rows, waiting = points.tried(session, study_id), points.page(session, study_id)
    ran = {attributes[ENQUEUED_POINT] for _, _, attributes in rows if ENQUEUED_POINT in attributes}
    left = [point for point in waiting if point.position not in ran]
    if not repeated:
        _check_new(values, fields, _tried(rows, space) | {_key(point.values): "is enqueued" for point in left})
    _check_room(study_id, spec, space, rows[-1].number + 1 if rows else 0, len(left), len(values))
    studies.touch(session, study_id)
    return points.add(session, study_id, values, repeated, datetime.now(UTC))


def extend_study(session: Session, owner: str, study_id: int, request: ExtendRequest) -> Study:
    """Give a study more trials; one that has ended is queued again, and its formulas are fitted anew at its end.

    Raises:
        NotFound: the owner has no such study.
        InvalidInput: the study was imported, or would have too many trials, or no more than its replicates.
        Conflict: it is just being stopped, or every point of its space has been asked for.
    """
    study, spec = _own(session, owner, study_id)
    if study.state is StudyState.STOPPING:
        raise Conflict(f"study {study_id} is STOPPING; wait until it has ended")
    if spec.max_trial_count + request.trials > MAX_TRIALS:
        reason = f"study {study_id} would have {spec.max_trial_count + request.trials} trials"
        raise InvalidInput("trials", reason, f"a study has at most {MAX_TRIALS}")
    _check_further(session, study, spec, request.trials)
    longer = spec.model_copy(update={"max_trial_count": spec.max_trial_count + request.trials})
    document = longer.model_dump(mode="json")
    ended = study.state not in ACTIVE_STUDY_STATES
    again = {"error": None, "finished_at": None, "fruitless_runs": 0} if ended else {}
    state = StudyState.QUEUED if ended else study.state
    studies.set_state(session, study_id, state, spec=document, digest=document_digest(document), **again)
    if ended:
        queue.forget_run(session, study_id, not_before=None)
    return get_study(session, owner, study_id)


def _own(session: Session, owner: str, study_id: int) -> tuple[Study, StudySpec]:
    """The study, kept as it is, and its spec."""
    get_study(session, owner, study_id)
    leases.lock(session, StudyRow, study_id)
    study = get_study(session, owner, study_id)
    spec = stored_spec(study.spec)
    if isinstance(spec, ImportSpec):
        raise InvalidInput("study", f"study {study_id} was imported", "create one with a spec, which can go on")
    return study, spec


def _check_new(values: Sequence[Mapping[str, Value]], fields: Sequence[str], known: Mapping[Key, str]) -> None:
    seen = dict(known)
    for point, field in zip(values, fields, strict=True):
        key = _key(point)
        if key in seen:
            raise InvalidInput(field, f"the point {seen[key]}", "set allow_duplicates to train it again")
        seen[key] = f"is {field} too"


def _tried(rows: Sequence[Any], space: Space) -> dict[Key, str]:
    """Outer points of trials, and what is said of them."""
    found: dict[Key, str] = {}
    for number, parameters, attributes in rows:
        if attributes.get(ORIGIN) != "replicate":
            outer = {name: value for name, value in parameters.items() if name not in space.inner}
            found.setdefault(_key(outer), f"was tried as trial {number}")
    return found


def _key(values: Mapping[str, Value]) -> Key:
    return frozenset(values.items())


def _check_room(study_id: int, spec: StudySpec, space: Space, begun: int, waiting: int, asked: int) -> None:
    """Check that ``asked`` points fit behind the numbers that have ``begun`` and the points that wait."""
    if waiting + asked > MAX_WAITING:
        raise Conflict(f"study {study_id} has {waiting} points that wait; at most {MAX_WAITING} may")
    inner = len(space.inner_points)
    left = max(spec.max_trial_count - spec.seeds.reserved - math.ceil(begun / inner) * inner, 0)
    room = left // inner - waiting
    if asked > room:
        missing = asked * inner - max(room, 0) * inner
        asked_trials = f"{asked} points take {asked * inner} trials"
        raise Conflict(
            f"study {study_id} has {max(room, 0) * inner} trials left for points that are given, and {asked_trials}; "
            f"extend it by at least {missing} first (:extend)"
        )


def _check_further(session: Session, study: Study, spec: StudySpec, further: int) -> None:
    """Check that a study can use further trials."""
    space = build_space(spec)
    finite = spec.sampler.kind == "grid" or not spec.allow_duplicates
    trials = space.size * len(space.inner_points) if finite and space.size is not None else None
    if trials is not None and spec.max_trial_count - spec.seeds.reserved >= trials:
        raise Conflict(
            f"the space of study {study.id} has {trials} trials, and all of them are asked for; "
            "create a study with a wider space"
        )
    replicated = any(row.attributes.get(ORIGIN) == "replicate" for row in points.tried(session, study.id))
    if replicated and further <= spec.seeds.reserved:
        reason = f"the last {spec.seeds.reserved} trials train leaders on fresh seeds, so none would be left"
        raise InvalidInput("trials", reason, f"give more than {spec.seeds.reserved}")
