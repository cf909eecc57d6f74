"""What the page of a recipe shows before its script has asked for one."""

from collections.abc import Mapping
from typing import Any

from api.authentication import Identity
from api.web.assets import PLOTLY_URL
from studies import service
from studies.database import Session
from studies.recipe.presets import find_preset
from trainer.machine.accelerators import ACCELERATORS

DEFAULT_TARGETS: Mapping[str, tuple[str, str]] = {"study": ("10M", "200M"), "preset": ("1B", "1.6T")}
"""Size and tokens with which the page begins."""


def recipe_page(session: Session, identity: Identity, study_id: int) -> dict[str, Any]:
    """Read what the template ``recipe.html`` shows of a study.

    Raises:
        NotFound: the owner has no such study.
    """
    study = service.get_study(session, identity.owner, study_id)
    return {
        "identity": identity,
        "title": study.name,
        "back": (f"/studies/{study_id}", f"#{study_id}"),
        "imported": study.spec.get("execution") == "imported",
        "asked": DEFAULT_TARGETS["study"],
        "gpus": ACCELERATORS,
        "data": {"path": f"/v1/studies/{study_id}/recipe", "plotly": PLOTLY_URL},
    }


def preset_page(identity: Identity, name: str) -> dict[str, Any]:
    """What the template shows of a preset.

    Raises:
        NotFound: there is no such preset.
    """
    preset = find_preset(name)
    return {
        "identity": identity,
        "title": preset.title,
        "back": ("/", "Studies"),
        "imported": False,
        "asked": DEFAULT_TARGETS["preset"],
        "gpus": ACCELERATORS,
        "data": {"path": f"/v1/presets/{preset.name}/recipe", "plotly": PLOTLY_URL},
    }
