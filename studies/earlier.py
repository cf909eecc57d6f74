"""Which trials of earlier studies inform a new one: those that would come out the same in it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from model.errors import InvalidInput
from search.events import Value
from search.given import given_point
from search.origins import ORIGIN
from search.space import Space
from search.start import EarlierTrial
from studies.records import Study, Trial, TrialState
from studies.repository import studies, trials
from studies.spec import ImportSpec, StudySpec, stored_spec
from studies.specs.model_checks import INHERITING
from trainer.config import ProxySettings

MAX_EARLIER = 2000
"""Most trials of one study that are taken, the first ones (assumed: more slow samplers down and teach them little)."""
WITHOUT_INFLUENCE = frozenset(
    {"seed", "evaluations", "annealed_evaluations", "compilation", "keep_weights", "forgetting"}
)
"""Settings on which a result does not depend, but for noise."""
NETWORK = ("ffn_width", "total_parameters")
"""Attributes in which the same values must give the same network."""


@dataclass(frozen=True, slots=True)
class EarlierStudy:
    """What an earlier study gives."""

    id: int
    trials: Sequence[EarlierTrial]
    left_out: Mapping[str, int]
    """Trials that are left out, by reason."""

    @property
    def report(self) -> str:
        """One line: how many trials are taken, how many left out and why."""
        total = len(self.trials) + sum(self.left_out.values())
        reasons = [f"{count} {reason}" for reason, count in sorted(self.left_out.items(), key=lambda pair: -pair[1])]
        return f"start: {len(self.trials)} of the {total} trials of study {self.id} are taken" + (
            f"; left out: {', '.join(reasons)}" if reasons else ""
        )


def check_start_studies(session: Session, owner: str, spec: StudySpec) -> None:
    """Check that every study that ``spec`` starts from is the owner's and has its objectives.

    Raises:
        InvalidInput: one is not, or has others.
    """
    for study_id in spec.start.studies:
        study = studies.get(session, study_id)
        if study is None or study.owner != owner:
            raise InvalidInput("start", f"there is no study {study_id}", "list yours with 'formulary study list'")
        known = {(each["metric"], each["direction"]) for each in study.spec["objectives"]}
        missing = [each for each in spec.objectives if (each.metric, each.direction) not in known]
        if missing:
            reason = f"study {study_id} did not {missing[0].direction} {missing[0].metric}"
            raise InvalidInput("start", reason, "start from studies of the same objective")


def earlier_studies(
    session: Session, owner: str, spec: StudySpec, space: Space, fingerprint: str | None
) -> list[EarlierStudy]:
    """Choose the trials of the studies that ``spec`` starts from; those that have been deleted give none.

    Args:
        session: the transaction.
        owner: whose studies.
        spec: the new study's.
        space: its space.
        fingerprint: of the new study's corpus; None where that is not known yet, and only its description is compared.
    """
    found = (studies.get(session, study_id) for study_id in spec.start.studies)
    return [
        _chosen(session, study, spec, space, fingerprint)
        for study in found
        if study is not None and study.owner == owner
    ]


def _chosen(session: Session, study: Study, spec: StudySpec, space: Space, fingerprint: str | None) -> EarlierStudy:
    rows = trials.page(session, study.id, None, None)
    earlier = stored_spec(study.spec)
    if isinstance(earlier, ImportSpec):
        return EarlierStudy(study.id, (), {"were imported, and how they were trained is not known": len(rows)})
    taken: list[EarlierTrial] = []
    left_out: Counter[str] = Counter()
    for row in rows:
        chosen = _overlapping(row, earlier, spec, space, fingerprint)
        if isinstance(chosen, str):
            left_out[chosen] += 1
        elif len(taken) == MAX_EARLIER:
            left_out[f"are more than {MAX_EARLIER}"] += 1
        else:
            taken.append(EarlierTrial(str(study.id), chosen, _values(row, spec)))
    return EarlierStudy(study.id, taken, left_out)


def _overlapping(
    row: Trial, earlier: StudySpec, spec: StudySpec, space: Space, fingerprint: str | None
) -> dict[str, Value] | str:
    """The parameters that a trial has in the new space; why it has none where it does not belong there."""
    if row.state not in (TrialState.COMPLETE, TrialState.FAIL):
        return "did not reach their end"
    if row.attributes.get(ORIGIN) == "replicate":
        return "train leaders again"
    if fingerprint is not None and row.attributes.get("corpus_fingerprint", fingerprint) != fingerprint:
        return "read other text"
    had = {**_shared(earlier), **row.parameters}
    solved = space.frame.network.solved
    for name, value in _shared(spec).items():
        varies = name in space.parameters or name in space.inner or name == solved
        if not varies and name not in WITHOUT_INFLUENCE and had[name] != value:
            return f"differ in {f'proxy.{name}' if name in ProxySettings.model_fields else name}"
    return _in_space(row, had, space)


def _shared(spec: StudySpec) -> dict[str, Any]:
    """What all trials of a study are told, unless the space varies it."""
    inherit, teacher = spec.inherit, spec.teacher
    return {
        **spec.proxy.model_dump(),
        **{name: getattr(spec.trial_settings, name) for name in INHERITING},
        "inherit": inherit and inherit.model_dump(exclude={"neurons", "layers"}),
        "teacher": teacher and teacher.model_dump(),
    }


def _in_space(row: Trial, had: Mapping[str, Any], space: Space) -> dict[str, Value] | str:
    outside = "lie outside of the space"
    inner: dict[str, Value] = {}
    for name, choices in space.inner.items():
        if name != "seed" and had[name] not in choices:
            return outside
        inner[name] = had[name]
    names = {name for name in space.parameters if name in row.parameters or name not in space.frame.conditions.allowed}
    solved = space.frame.network.solved
    given = {name: had[name] for name in (*names, *({solved} if solved else ()))}
    try:
        point = given_point(space, given, "start")
    except InvalidInput:
        return outside
    here = space.describe({**point.values, **inner}).attributes
    if any(row.attributes.get(name, here[name]) != here[name] for name in NETWORK):
        return "have another network at the same values"
    return {**point.values, **inner}


def _values(row: Trial, spec: StudySpec) -> tuple[float, ...] | None:
    values = tuple(row.metrics[each.metric] for each in spec.objectives if each.metric in row.metrics)
    return values if row.state is TrialState.COMPLETE and len(values) == len(spec.objectives) else None
