"""What the page of a study shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from api.authentication import RANK, Identity
from api.web.assets import PLOTLY_URL
from api.web.formula_cards import formula_card
from studies import service
from studies.database import Session
from studies.recipe.formats import FORMATS
from studies.records import CampaignState, Role, StudyState, Trial
from studies.service.external import clients_now
from studies.service.forgetting import measures_forgetting
from studies.service.inherited import inherits
from studies.service.overviews import Overview, noise_between_seeds, overview
from studies.service.studies import TRANSITIONS
from studies.spec import stored_spec
from studies.specs.yaml import dump_spec_yaml

MAX_FRONT_ROWS = 100
"""Most trials of a front that the page lists; the plot shows more of them."""
ENDED = (StudyState.COMPLETED, StudyState.CANCELLED, StudyState.FAILED)


@dataclass(frozen=True, slots=True)
class Action:
    """A button that changes a study or a campaign."""

    verb: str
    label: str
    states: Sequence[StudyState | CampaignState]
    question: str
    """Asked before; empty where nothing can be lost."""
    dangerous: bool = False


ACTIONS = (
    Action(
        "pause",
        "Pause",
        [*TRANSITIONS["pause"]],
        "Running trials are cut off and start anew when the study is resumed. Finished ones are kept.",
    ),
    Action("resume", "Resume", [*TRANSITIONS["resume"]], ""),
    Action(
        "stop",
        "Stop",
        [*TRANSITIONS["stop"]],
        "The study ends with the trials that it has, and its formulas are fitted. It goes on only when it is extended.",
    ),
    Action(
        "cancel",
        "Cancel",
        [*TRANSITIONS["cancel"]],
        "The study is given up, and no formulas are fitted. Its trials are kept; it goes on only when it is extended.",
        dangerous=True,
    ),
    Action("clone", "Clone", [*StudyState], "A new study of the same spec is queued."),
    Action(
        "delete",
        "Delete",
        [*ENDED, StudyState.QUEUED, StudyState.PAUSED],
        "The study goes with its trials, formulas and exports. This cannot be undone.",
        dangerous=True,
    ),
)


def study_page(session: Session, identity: Identity, study_id: int, others: Sequence[int] = ()) -> dict[str, Any]:
    """Read everything that the template ``study.html`` shows; formulas are those of the study and ``others`` together.

    Raises:
        NotFound: the owner has no such study.
        InvalidInput: the studies cannot be fitted together.
    """
    shown = overview(session, identity.owner, study_id)
    leaders, comparison = service.leaders(session, identity.owner, study_id)
    formulas = service.list_formulas(session, identity.owner, study_id, others)
    imported = shown.study.spec.get("execution") == "imported"
    may_write = RANK[identity.role] >= RANK[Role.WRITE]
    return {
        "identity": identity,
        "overview": shown,
        "study": shown.study,
        "best": best_shown(session, identity.owner, shown),
        "seed_noise": noise_between_seeds(session, shown),
        "leaders": leaders,
        "comparison": comparison,
        "imported": imported,
        "measures_forgetting": measures_forgetting(shown.study.spec),
        "inherits": inherits(shown.study.spec),
        "others": others,
        "cards": [formula_card(formula) for formula in formulas],
        "actions": [action for action in ACTIONS if may_write and not (imported and action.verb == "clone")],
        "may_write": may_write,
        "is_admin": identity.role is Role.ADMIN,
        "spec_yaml": spec_yaml(shown.study.spec),
        "validations": service.list_validations(session, identity.owner, study_id),
        "campaign": service.campaign_of(session, study_id),
        "validates": service.validation_of(session, study_id),
        "exports": service.list_exports(session, identity.owner, study_id),
        "formats": FORMATS,
        "workers": service.list_workers(session),
        "clients": clients_now(session, study_id),
        "data": _data(shown, [formula.revision for formula in formulas]),
    }


@dataclass(frozen=True, slots=True)
class BestShown:
    """The card of the best trial, or of the front."""

    trial: Trial | None
    """The best one; of several objectives, the knee of the front."""
    objectives: Sequence[Mapping[str, str]]
    front: Sequence[Trial]
    """Trials of the front, the best one by the first objective first; empty with one objective."""
    front_size: int

    @property
    def names(self) -> Sequence[str]:
        """The parameters that occur on the front."""
        return [*dict.fromkeys(name for trial in self.front for name in trial.parameters)]


def best_shown(session: Session, owner: str, shown: Overview) -> BestShown:
    """Read the best trial, or the front and its knee."""
    objectives = shown.study.spec["objectives"]
    if len(objectives) == 1:
        return BestShown(shown.best, objectives, (), 0)
    best = service.best_trials(session, owner, shown.study.id, MAX_FRONT_ROWS)
    knee = next((trial for trial in best.trials if best.front and trial.number == best.front.knee), None)
    return BestShown(knee, objectives, best.trials, len(best.front.numbers) if best.front else 0)


def spec_yaml(document: Mapping[str, Any]) -> str:
    """A stored spec as YAML; what has its default value is left out."""
    spec = stored_spec(document)
    given = {"version": spec.version, **spec.model_dump(mode="json", exclude_defaults=True)}
    return dump_spec_yaml(given)


def _data(shown: Overview, revisions: Sequence[int]) -> dict[str, Any]:
    """What the scripts of the page start from."""
    return {
        "id": shown.study.id,
        "name": shown.study.name,
        "state": shown.study.state,
        "revision": shown.study.revision,
        "metric": shown.metric,
        "objectives": shown.study.spec["objectives"],
        "direction": shown.direction,
        "asked": shown.asked,
        "parallel": shown.study.spec.get("parallel_trial_count", 1),
        "counts": shown.counts,
        "started_at": shown.study.started_at and shown.study.started_at.isoformat(),
        "finished_at": shown.study.finished_at and shown.study.finished_at.isoformat(),
        "formula_revision": max(revisions, default=0),
        "parameters": [*shown.study.spec.get("space", {}), *shown.study.spec.get("inner", {})],
        "plotly": PLOTLY_URL,
    }
