"""Campaigns that come with Formulary: a folder each below ``studies/presets``, a file for each stage's study."""

from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from model.errors import InvalidInput
from search.standard import closest
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


def _study(folder: Traversable, stage: str) -> object:
    return load_spec_yaml(folder.joinpath(f"{stage}.yaml").read_text(encoding="utf-8"))


def _is_campaign(folder: Traversable) -> bool:
    return folder.is_dir() and folder.joinpath(CAMPAIGN).is_file()
