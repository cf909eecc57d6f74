"""The studies of a campaign as specs: those of its stages, and those of the rungs of its ladder."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from model.errors import InvalidInput
from search.events import Value
from search.given import given_point
from search.space import Space
from studies.campaigns.document import CampaignDocument, Stage, StageModel
from studies.campaigns.setting import INHERITANCE, NETWORK, Setting, network_of
from studies.spec import StudySpec, build_space
from studies.specs.parsing import parse_spec
from trainer.config import ProxySettings

TAG = "campaign"
MAX_TAGS = 50
MAX_NAME = 200
"""Tags of a study, and characters of its name."""
EXACT = 1e-9
"""Tolerance of a budget that one FFN width only meets (derived: no network has 10^9 times as many parameters as an FFN
channel)."""
RATIO_MARGIN = 2.0
"""How far around the adopted FFN ratio the FFN width is looked for (assumed: it is found at that ratio)."""
MAX_RATIO = 64.0
LENGTHS = frozenset({"train_tokens", "train_bytes", "train_flops"})
MODELS = {"inherit": "parent", "teacher": "model"}
"""Sections of a study that name a trained model, and the field that does."""
Trained = Callable[[str, str], Mapping[str, Any]]
"""The trained model of an earlier stage, by the stage's name; the first argument is the field that names it."""


@dataclass(frozen=True, slots=True)
class StageStudy:
    """The study of a stage, before it is created."""

    spec: StudySpec
    current: Mapping[str, Value] | None
    """Of what it varies, the values that it starts from; None where the study does not have them."""


def baseline_setting(campaign: CampaignDocument) -> Setting:
    """The baseline with its network as it is solved.

    Raises:
        InvalidInput: it cannot be trained; fields are those of a study's spec.
    """
    baseline, seeds = campaign.baseline, list(campaign.ladder.listed)
    spec = parse_spec(_at_seeds(campaign, "baseline", baseline.proxy, baseline.constraints, seeds))
    space = build_space(spec)
    trial = space.trial(space.point({}).values, 0)
    network, total_parameters = network_of(spec, trial.values, trial.attributes)
    asked = float(trial.attributes["ffn_ratio_asked"])
    return Setting(proxy={**baseline.proxy, **network}, total_parameters=total_parameters, ffn_ratio_asked=asked)


def rung_spec(campaign: CampaignDocument, label: str, setting: Setting) -> StudySpec:
    """The study of a rung: one setting at the seeds of the ladder.

    Raises:
        InvalidInput: it cannot be trained; fields are those of a study's spec.
    """
    sections = {name: getattr(setting, name) for name in MODELS}
    seeds = list(campaign.ladder.listed)
    return parse_spec(_at_seeds(campaign, label, setting.proxy, _very_network(setting), seeds) | sections)


def stage_study(campaign: CampaignDocument, stage: Stage, setting: Setting, trained: Trained) -> StageStudy:
    """The study of a stage; what it starts from is one of its points, so that the winner may be the old setting.

    That point is tried beside those of the design, unless the design visits every point of the space anyway.

    Raises:
        InvalidInput: it cannot be a study; fields are those of the stage's spec.
    """
    document = stage_document(campaign, stage, setting, trained)
    spec = parse_spec(document)
    space = build_space(spec)
    point = _current_point(space, setting)
    if point is not None and not _tries(spec, space, point):
        start = {**document.get("start", {}), "points": [*document.get("start", {}).get("points", ()), point]}
        count = spec.max_trial_count + len(space.inner_points)
        spec = parse_spec({**document, "start": start, "max_trial_count": count})
    inner = {name: value for name in spec.inner if name != "seed" for value in [_value(setting, name)]}
    has_all = point is not None and all(value in spec.inner[name] for name, value in inner.items())
    compared = has_all and not _fixes_another(stage, spec, setting)
    return StageStudy(spec, {**point, **inner} if point is not None and compared else None)


def stage_document(campaign: CampaignDocument, stage: Stage, setting: Setting, trained: Trained) -> dict[str, Any]:
    """The spec of a stage: its own document, and what it leaves open from the setting and the baseline."""
    study, baseline = stage.study, campaign.baseline
    if not all(isinstance(study.get(name, {}), dict) for name in ("proxy", "space", "inner", "start")):
        return {**study, "name": stage.name}  # whose errors the parser names
    own = study.get("proxy", {})
    same = _has_the_network(study)
    adopted = setting.proxy if same else {**setting.proxy, "ffn_ratio": setting.ffn_ratio_asked}
    shared = {name: value for name, value in adopted.items() if not (name in LENGTHS and own.keys() & LENGTHS)}
    sections = {name: getattr(setting, name) for name in MODELS if getattr(setting, name) is not None}
    count = study.get("max_trial_count")
    parallel = min(baseline.parallel_trial_count, count) if isinstance(count, int) and count > 0 else 1
    tags = study.get("tags", [])
    marked = isinstance(tags, list) and TAG not in tags and len(tags) < MAX_TAGS
    document = {
        "resources_per_trial": baseline.resources_per_trial,
        "parallel_trial_count": parallel,
        "constraints": _constraints(campaign, study, setting),
        **sections,
        **study,
        "name": f"{campaign.name}: {stage.name}"[:MAX_NAME],
        "tags": [*tags, TAG] if marked else tags,
        "proxy": {**shared, **own},
    }
    models = {
        name: _with_model(document[name], f"{name}.{field}", trained)
        for name, field in MODELS.items()
        if name in document
    }
    return document | models


def _at_seeds(
    campaign: CampaignDocument, label: str, proxy: Mapping[str, Any], constraints: Mapping[str, Any], seeds: list[int]
) -> dict[str, Any]:
    return {
        "name": f"{campaign.name}: {label}"[:MAX_NAME],
        "tags": [TAG],
        "inner": {"seed": seeds},
        "constraints": constraints,
        "sampler": {"kind": "grid"},
        "proxy": proxy,
        "max_trial_count": len(seeds),
        "parallel_trial_count": min(campaign.baseline.parallel_trial_count, len(seeds)),
        "resources_per_trial": campaign.baseline.resources_per_trial,
    }


def _has_the_network(study: Mapping[str, Any]) -> bool:
    """Whether a stage trains the network that was adopted: it neither varies, solves nor sets any of it."""
    said = {*study.get("space", {}), *study.get("inner", {}), *study.get("proxy", {})}
    return not said & NETWORK and "constraints" not in study


def _constraints(campaign: CampaignDocument, study: Mapping[str, Any], setting: Setting) -> Mapping[str, Any]:
    """Of a stage that says none: its budget is the baseline's where it varies the network."""
    if _has_the_network(study):
        return _very_network(setting)
    return campaign.baseline.constraints if {*study.get("space", {}), *study.get("inner", {})} & NETWORK else {}


def _very_network(setting: Setting) -> dict[str, Any]:
    """A budget that only the network of a setting meets."""
    ratio = float(setting.proxy["ffn_ratio"])
    found = {"low": ratio / RATIO_MARGIN, "high": min(ratio * RATIO_MARGIN, MAX_RATIO)}
    budget = {"target": setting.total_parameters, "tolerance": EXACT, "solve_for": "ffn_ratio", "range": found}
    return {"total_parameters": budget}


def _with_model(section: Any, place: str, trained: Trained) -> Any:
    """A section whose model is that of a stage, with the trained one."""
    field = place.split(".")[1]
    model = section.get(field) if isinstance(section, dict) else None
    if not isinstance(model, dict) or model.get("kind") != "stage":
        return section
    foreign = sorted(model.keys() - StageModel.model_fields.keys())
    if foreign:
        raise InvalidInput(f"{place}.{foreign[0]}", "is not a known field", "write kind: stage and the stage's name")
    return {**section, field: dict(trained(place, str(model.get("stage"))))}


def _current_point(space: Space, setting: Setting) -> dict[str, Any] | None:
    """The point of the space that is the setting; None where there is none."""
    values = {name: _value(setting, name) for name in space.names}
    existing = space.existing(values)
    point = {name: values[name] for name in existing}
    try:
        given_point(space, point, "start.points")
    except InvalidInput:
        return None
    return point


def _value(setting: Setting, name: str) -> Any:
    """What a setting has for a parameter."""
    inherited = setting.inherit or {"neurons": "none", "layers": "importance"}
    of_section = {"inherit_method": inherited["neurons"], "inherit_layers": inherited["layers"]}
    if name in of_section:
        return of_section[name]
    if name == "ffn_ratio":
        return setting.ffn_ratio_asked
    return setting.proxy.get(name, ProxySettings.model_fields[name].default)


def _fixes_another(stage: Stage, spec: StudySpec, setting: Setting) -> bool:
    """Whether every trial of a stage has something to adopt that the setting has not, so that the two do not meet."""
    varied = {*spec.space, *spec.inner}
    if "teacher" in stage.adopt and (None if spec.teacher is None else spec.teacher.model_dump(mode="json")) != (
        setting.teacher
    ):
        return True
    if INHERITANCE & {*stage.adopt} and "inherit_method" not in varied and spec.inherit is not None:
        return spec.inherit.model_dump(mode="json") != setting.inherit
    fixed = ({*stage.adopt} & stage.study.get("proxy", {}).keys()) - NETWORK - varied
    return any(stage.study["proxy"][name] != _value(setting, name) for name in fixed)


def _tries(spec: StudySpec, space: Space, point: Mapping[str, Any]) -> bool:
    """Whether a study tries a point without being asked: it is given already, or every point is visited."""
    values = given_point(space, point, "start.points").values
    if any(given_point(space, given, "start.points").values == values for given in spec.start.points):
        return True
    room = spec.max_trial_count - spec.seeds.reserved
    finite = space.size is not None and (spec.sampler.kind == "grid" or not spec.allow_duplicates)
    return finite and (space.size or 0) * len(space.inner_points) <= room
