"""Campaigns that come with Formulary: a folder each below ``studies/presets``, a file for each stage's study."""

from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from model.errors import InvalidInput
from search.standard import closest
from studies.campaigns.document import CampaignDocument
from studies.campaigns.stages import baseline_setting, stage_document
from studies.specs.yaml import load_spec_yaml

CAMPAIGN = "campaign.yaml"


def preset_names() -> list[str]:
    """The campaigns that there are."""
    return sorted(folder.name for folder in files("studies").joinpath("presets").iterdir() if _is_campaign(folder))


def load_preset(name: str) -> dict[str, Any]:
    """The document of a campaign, its stages' studies inside.

    Raises:
        InvalidInput: there is no such campaign; the known ones are listed.
    """
    known = preset_names()
    if name not in known:
        guess = closest(name, known)
        remedy = f"did you mean {guess}? there are: {', '.join(known)}" if guess else f"use one of {', '.join(known)}"
        raise InvalidInput("preset", f"there is no preset {name[:100]!r}", remedy if known else "none is installed")
    folder = files("studies").joinpath("presets", name)
    document: Any = load_spec_yaml(folder.joinpath(CAMPAIGN).read_text(encoding="utf-8"))
    stages = [{**stage, "study": _study(folder, stage["name"])} for stage in document["stages"]]
    return {**document, "stages": stages}


def load_preset_study(name: str, stage: str) -> dict[str, Any]:
    """The study of one stage by itself: what it leaves open is the baseline's.

    Raises:
        InvalidInput: there is no such preset or stage, or the stage needs a model that another one trains.
    """
    campaign = CampaignDocument.model_validate(load_preset(name))
    found = next((one for one in campaign.stages if one.name == stage), None)
    if found is None:
        known = ", ".join(one.name for one in campaign.stages)
        raise InvalidInput("preset", f"{name} has no stage {stage[:60]!r}", f"use one of {known}")

    def refuse(field: str, earlier: str) -> dict[str, Any]:
        reason = f"stage {stage} starts from the model that stage {earlier} trains"
        raise InvalidInput(field, reason, f"run the whole campaign, preset:{name}")

    document = stage_document(campaign, found, baseline_setting(campaign), refuse)
    return {**document, "name": found.study.get("name", document["name"])}


def _study(folder: Traversable, stage: str) -> object:
    return load_spec_yaml(folder.joinpath(f"{stage}.yaml").read_text(encoding="utf-8"))


def _is_campaign(folder: Traversable) -> bool:
    return folder.is_dir() and folder.joinpath(CAMPAIGN).is_file()
