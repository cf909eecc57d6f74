"""How a campaign goes on: what is next is read off its rows, prepared without a lock, and done in one transaction.

A step is prepared by any process, and void unless the campaign's row is then still as it was read: of several processes
that prepare the same one, one does it. Whoever dies meanwhile leaves the rows as they were.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from model.errors import InvalidInput
from search.events import Value
from studies.campaigns.document import CampaignDocument
from studies.campaigns.parsing import located
from studies.campaigns.runs import rung_runs
from studies.campaigns.setting import Outcome, Setting, adopt
from studies.campaigns.stages import StageStudy, baseline_setting, rung_spec, stage_study
from studies.campaigns.winner import find_winner
from studies.errors import NotFound
from studies.records import ACTIVE_STUDY_STATES, Campaign, CampaignState, StudyState
from studies.repository import campaigns, studies, trials
from studies.service.studies import add_prepared_study
from studies.spec import StudySpec

MAX_ERROR = 4000


@dataclass(frozen=True, slots=True)
class NewStudy:
    """A study that is to be created for some positions: rungs of one setting share it."""

    positions: tuple[int, ...]
    spec: StudySpec


@dataclass(frozen=True, slots=True)
class Step:
    """What a campaign does next."""

    campaign_id: int
    revision: int
    """Of the campaign, as this was prepared."""
    outcome: tuple[int, Outcome] | None = None
    """What came of the stage that has ended, with its position."""
    studies: Sequence[NewStudy] = ()
    ending: tuple[CampaignState, str | None] | None = None
    """The state in which the campaign ends, and why."""


def next_step(session: Session, campaign_id: int) -> Step | None:
    """What a campaign does next; None while it waits for trials, or is not to go on."""
    campaign = campaigns.get(session, campaign_id)
    if campaign is None or campaign.state is not CampaignState.RUNNING:
        return None
    here = _Progress(session, campaign, CampaignDocument.model_validate(campaign.document))
    try:
        return _next(here)
    except (InvalidInput, NotFound) as error:
        return here.step(ending=(CampaignState.FAILED, str(error)[:MAX_ERROR]))


def take_step(session: Session, step: Step) -> bool:
    """Do what was prepared; False where the campaign has changed since, and nothing was done.

    Raises:
        InvalidInput: a study cannot be created, e.g. because one that it starts from was deleted.
    """
    campaign = campaigns.lock(session, step.campaign_id)
    if campaign is None or campaign.revision != step.revision or campaign.state is not CampaignState.RUNNING:
        return False
    if step.outcome is not None:
        position, outcome = step.outcome
        campaigns.set_outcome(session, campaign.id, position, outcome.model_dump(mode="json"))
    for new in step.studies:
        study = add_prepared_study(session, campaign.owner, new.spec)
        for position in new.positions:
            campaigns.set_study(session, campaign.id, position, study.id)
    state, error = step.ending or (CampaignState.RUNNING, None)
    finished = None if step.ending is None else datetime.now(UTC)
    campaigns.set_state(session, campaign.id, state, error=error, finished_at=finished)
    return True


def first_step(campaign: Campaign, study: StageStudy) -> Step:
    """The step by which a campaign begins, with the study of its first stage."""
    return Step(campaign.id, campaign.revision, studies=[NewStudy((0,), study.spec)])


def _next(here: "_Progress") -> Step | None:
    for position in range(len(here.document.stages)):
        row = here.rows.get(position)
        if row is None:
            return here.step(studies=[NewStudy((position,), here.study_of(position).spec)])
        if row.outcome is not None:
            continue
        state = here.state_of(position)
        if state is not StudyState.COMPLETED:
            return None if state in ACTIVE_STUDY_STATES else here.failed([position])
        here.end(position)
    return _ladder(here)


def _ladder(here: "_Progress") -> Step | None:
    """Begin the rungs, wait for them, or end with them."""
    count = len(here.document.stages)
    positions = range(count, count + len(here.document.rungs))
    missing = [position for position in positions if position not in here.rows]
    if missing:
        return here.step(studies=here.rungs(missing))
    states = {position: here.state_of(position) for position in positions}
    if any(state in ACTIVE_STUDY_STATES for state in states.values()):
        return None
    bad = [
        position
        for position, state in states.items()
        if state is not StudyState.COMPLETED and not (state is StudyState.FAILED and here.diverged(position))
    ]
    return here.failed(bad) if bad else here.step(ending=(CampaignState.COMPLETED, None))


class _Progress:
    """How far a campaign is, and what can be made of that."""

    def __init__(self, session: Session, campaign: Campaign, document: CampaignDocument) -> None:
        self._session = session
        self.campaign = campaign
        self.document = document
        self.rows = {row.position: row for row in campaign.studies}
        self.outcomes = {row.position: Outcome.model_validate(row.outcome) for row in campaign.studies if row.outcome}
        self._ended: tuple[int, Outcome] | None = None

    def step(self, studies: Sequence[NewStudy] = (), ending: tuple[CampaignState, str | None] | None = None) -> Step:
        """A step from here, with what came of the stage that has ended."""
        return Step(self.campaign.id, self.campaign.revision, self._ended, studies, ending)

    def end(self, position: int) -> None:
        """Find what came of a stage whose study is complete."""
        self._ended = position, self._outcome_of(position)
        self.outcomes[position] = self._ended[1]

    def state_of(self, position: int) -> StudyState | None:
        """The state of a position's study; None where it was deleted."""
        study_id = self.rows[position].study_id
        return None if study_id is None else studies.state_of(self._session, study_id)

    def setting(self, stages: int) -> Setting:
        """What is adopted after some stages."""
        return self.outcomes[stages - 1].setting if stages else baseline_setting(self.document)

    def diverged(self, position: int) -> bool:
        """Whether every run of a rung diverged, which is a result: trained again, they would."""
        study_id, seeds = self.rows[position].study_id, self.document.ladder.listed
        stored = [] if study_id is None else trials.page(self._session, study_id, None, None)
        return len(rung_runs("", seeds, stored, same_as_before=False).diverged) == len(seeds)

    def study_of(self, position: int) -> StageStudy:
        """The study of a stage, after the outcomes of those before."""
        with located(f"stages.{position}.study."):
            return stage_study(self.document, self.document.stages[position], self.setting(position), self._trained)

    def _outcome_of(self, position: int) -> Outcome:
        row, stage = self.rows[position], self.document.stages[position]
        study = None if row.study_id is None else studies.get(self._session, row.study_id)
        if study is None:
            raise NotFound(f"the study of stage {stage.name} was deleted")
        stored = trials.page(self._session, study.id, None, None)
        spec, current = StudySpec.model_validate(study.spec), self._current(position, study.spec)
        winner = find_winner(spec, stored, current)
        if winner is None:
            reason = f"no trial of study {study.id} has a value of every objective"
            raise InvalidInput(f"stages.{position}.study", reason, "extend that study, and resume the campaign")
        attributes = next(trial.attributes for trial in stored if trial.number == winner.trial)
        return adopt(self.setting(position), stage.adopt, spec, winner, attributes)

    def _current(self, position: int, spec: Mapping[str, Any]) -> Mapping[str, Value] | None:
        """What a stage started from; its models are read off its own spec, for their studies may be deleted by now."""

        def stored(field: str, _: str) -> Mapping[str, Any]:
            section, model = field.split(".")
            return dict(spec[section][model])

        return stage_study(self.document, self.document.stages[position], self.setting(position), stored).current

    def rungs(self, positions: Sequence[int]) -> list[NewStudy]:
        """The studies of rungs; those of equal settings share one."""
        count = len(self.document.stages)
        settings = [self.setting(stages) for _, stages in self.document.rungs]
        shared: dict[int, list[int]] = {}
        for position in positions:
            shared.setdefault(settings.index(settings[position - count]), []).append(position)
        labels = [label for label, _ in self.document.rungs]
        with located("baseline."):
            return [
                NewStudy(tuple(places), rung_spec(self.document, labels[first], settings[first]))
                for first, places in shared.items()
            ]

    def failed(self, positions: Sequence[int]) -> Step:
        """The end of a campaign of which some studies ended without what it needs."""
        states = [self.state_of(position) for position in positions]
        said = "; ".join(self._why(position, state) for position, state in zip(positions, states, strict=True))
        cancelled = all(state is StudyState.CANCELLED for state in states)
        ending = CampaignState.CANCELLED if cancelled else CampaignState.FAILED
        return self.step(ending=(ending, said[:MAX_ERROR]))

    def _why(self, position: int, state: StudyState | None) -> str:
        count, study_id = len(self.document.stages), self.rows[position].study_id
        stage = self.document.stages[position].name if position < count else None
        subject = f"rung {self.document.rungs[position - count][0]}" if stage is None else f"stage {stage}"
        if state is None or study_id is None:
            return f"the study of {subject} was deleted"
        study = studies.get(self._session, study_id)
        reason = f": {study.error}" if study is not None and study.error else ""
        return f"study {study_id} of {subject} is {state}{reason}"

    def _trained(self, field: str, name: str) -> Mapping[str, Any]:
        """The winner of an earlier stage as a trained model."""
        position = next(place for place, stage in enumerate(self.document.stages) if stage.name == name)
        study_id = self.rows[position].study_id
        if study_id is None:
            reason = f"the study of stage {name}, whose winner this is, was deleted"
            raise InvalidInput(field, reason, "resume the campaign with another model in this stage")
        return {"kind": "trial", "study": study_id, "trial": self.outcomes[position].winner.trial}
