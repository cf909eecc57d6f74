"""From a parsed YAML or JSON document to a checked campaign: every study of it, as far as it is known beforehand."""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from model.config import ArchitectureConfig
from model.errors import InvalidInput
from search.given import given_point
from search.parameters import PARAMETER_NAMES
from search.proxy import architecture_config
from search.space import Point
from search.standard import closest
from studies.campaigns.document import Baseline, CampaignDocument, Ladder, Stage
from studies.campaigns.setting import INHERITANCE, NETWORK, TEACHER, Setting, Winner, adopt
from studies.campaigns.stages import MODELS, StageStudy, baseline_setting, rung_spec, stage_study
from studies.spec import StudySpec, build_space, declared_values
from studies.specs.errors import Containers, first_error
from studies.specs.model_checks import check_parent, check_teacher

CONTAINERS: Containers = {
    (): (CampaignDocument,),
    ("baseline",): (Baseline,),
    ("stages", "*"): (Stage,),
    ("ladder",): (Ladder,),
}
SEED = "seed"
ADOPTABLE = (PARAMETER_NAMES - {SEED}) | INHERITANCE | {TEACHER}


@dataclass(frozen=True, slots=True)
class ParsedCampaign:
    """A campaign with its studies as they would be, were every winner the setting that its stage starts from."""

    document: CampaignDocument
    baseline: Setting
    stages: tuple[StageStudy, ...]
    rungs: tuple[StudySpec, ...]
    doubts: tuple[tuple[str, ...], ...]
    """Of each stage, why it would fail with the models that the stages before it would then train."""


def parse_campaign(document: object) -> ParsedCampaign:
    """Check a document, its baseline, each stage's study and each rung.

    Winners and trained models are not known yet: the baseline's values stand for them.

    Raises:
        InvalidInput: the first thing wrong, by its dotted place in the document.
    """
    try:
        campaign = CampaignDocument.model_validate(document)
    except ValidationError as error:
        raise first_error(error, document, CONTAINERS) from None
    with located("baseline."):
        setting = baseline = baseline_setting(campaign)
    _check_length(campaign)
    stages, settings, doubts = [], [baseline], []
    networks: dict[str, ArchitectureConfig] = {}
    for place, stage in enumerate(campaign.stages):
        with located(f"stages.{place}.study."):
            study = stage_study(campaign, stage, setting, _Models(campaign, place))
        _check_stage(campaign, place, study.spec)
        trial = _as_if_won(study)
        networks[stage.name] = architecture_config(study.spec.trial_settings, trial.values, trial.attributes)
        setting = _as_if_adopted(setting, stage, study.spec, trial)
        stages.append(study)
        settings.append(setting)
        doubts.append(tuple(_doubts(stage, study.spec, networks)))
    with located("baseline."):
        rungs = tuple(rung_spec(campaign, label, settings[count]) for label, count in campaign.rungs)
    return ParsedCampaign(campaign, baseline, tuple(stages), rungs, tuple(doubts))


@contextmanager
def located(prefix: str) -> Iterator[None]:
    """Say where in a larger document a field is that was found wrong."""
    try:
        yield
    except InvalidInput as error:
        raise InvalidInput(f"{prefix}{error.field}", error.reason, error.remedy) from error


class _Models:
    """Stands for the trained models of the stages before one, and checks that they will be there."""

    def __init__(self, campaign: CampaignDocument, place: int) -> None:
        self._campaign = campaign
        self._earlier = {stage.name: stage for stage in campaign.stages[:place]}

    def __call__(self, field: str, name: str) -> Mapping[str, Any]:
        stage = self._earlier.get(name)
        if stage is None:
            later = any(name == one.name for one in self._campaign.stages)
            reason = f"{name[:60]!r} is no stage before this one" if later else f"there is no stage {name[:60]!r}"
            known = ", ".join(self._earlier)
            raise InvalidInput(
                f"{field}.stage", reason, f"name one of {known}" if known else "name a folder or a trial"
            )
        proxy = stage.study.get("proxy")
        if not isinstance(proxy, dict) or proxy.get("keep_weights") is not True:
            reason = f"stage {name} does not keep its weights"
            raise InvalidInput(f"{field}.stage", reason, "write keep_weights: true in the proxy section of that stage")
        return {"kind": "trial", "study": 1, "trial": 0}


def _check_length(campaign: CampaignDocument) -> None:
    """Check that rungs of different vocabularies see the same text."""
    if campaign.baseline.proxy.get("train_tokens") is None:
        return
    for stage in campaign.stages:
        sections = (stage.study.get(name) for name in ("space", "inner", "proxy"))
        said = any("vocabulary_size" in section for section in sections if isinstance(section, dict))
        if said and NETWORK & {*stage.adopt}:
            reason = f"stage {stage.name} adopts a vocabulary, and a larger one sees more text in as many tokens"
            raise InvalidInput("baseline.proxy.train_tokens", reason, "give train_bytes instead")


def _check_stage(campaign: CampaignDocument, place: int, spec: StudySpec) -> None:
    stage, field = campaign.stages[place], f"stages.{place}"
    if spec.execution == "external":
        reason = "the trials of an external study are trained elsewhere, and those of a campaign here"
        raise InvalidInput(f"{field}.study.execution", reason, "leave it out")
    solved = () if spec.constraints.solved is None else (spec.constraints.solved[1].solve_for,)
    own = stage.study.get("proxy", {}).keys()
    known = {*spec.space, *spec.inner, *solved, *own} & ADOPTABLE
    known |= {name for name in MODELS if getattr(spec, name) is not None and stage.study.get(name) is not None}
    for index, name in enumerate(stage.adopt):
        if name not in known:
            raise _not_adoptable(f"{field}.adopt.{index}", stage, name, known)
    if _largest_seed(spec) >= campaign.ladder.first_seed:
        reason = f"stage {stage.name} trains with seed {_largest_seed(spec)}, and the ladder's seeds must be fresh"
        raise InvalidInput("ladder.first_seed", reason, f"give more than {_largest_seed(spec)}")


def _not_adoptable(field: str, stage: Stage, name: str, known: AbstractSet[str]) -> InvalidInput:
    guess = closest(name, known)
    listed = ", ".join(sorted(known)) or "nothing"
    remedy = f"did you mean {guess}? it has {listed}" if guess else f"it has {listed}"
    return InvalidInput(field, f"stage {stage.name} neither varies, solves nor sets {name[:50]!r}", remedy)


def _largest_seed(spec: StudySpec) -> int:
    """The largest seed with which trials of a study are trained, leaders included."""
    declared = [value for value in declared_values(spec, SEED)[1] if isinstance(value, int)]
    return max(declared) + spec.seeds.reserved


def _doubts(stage: Stage, spec: StudySpec, networks: Mapping[str, ArchitectureConfig]) -> Iterator[str]:
    """Why a stage could not start or learn from the networks of earlier ones; those that are adopted may differ."""
    for section, field in MODELS.items():
        said = stage.study.get(section)
        model = said.get(field) if isinstance(said, dict) else None
        if isinstance(model, dict) and model.get("kind") == "stage":
            network = networks[model["stage"]]
            try:
                check_parent(spec, build_space(spec), network) if section == "inherit" else check_teacher(spec, network)
            except InvalidInput as error:
                yield f"with what is known now, the model of stage {model['stage']} would not do: {error}"


def _as_if_won(study: StageStudy) -> Point:
    """The trial of what a stage starts from, or else of some point of it."""
    spec, space = study.spec, build_space(study.spec)
    if study.current is None:
        point = space.point(dict.fromkeys(space.names, 0.5))
    else:
        outer = {name: value for name, value in study.current.items() if name in spec.space}
        point = given_point(space, outer, "space")
    return space.trial(point.values, 0)


def _as_if_adopted(setting: Setting, stage: Stage, spec: StudySpec, trial: Point) -> Setting:
    """What a campaign would go on with, were this trial the winner."""
    winner = Winner(trial=0, rule="mean_over_seeds", metric="", value=0.0, runs=0, parameters=dict(trial.values))
    further = adopt(setting, stage.adopt, spec, winner, trial.attributes).setting
    if spec.inherit is not None and INHERITANCE & {*stage.adopt}:
        return further.model_copy(update={"inherit": spec.inherit.model_dump(mode="json")})
    return further
