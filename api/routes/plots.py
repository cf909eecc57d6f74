"""Figures of a study."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from api import plots
from api.dependencies import OwnerGiven, ReadSession, SettingsGiven
from api.routes.paths import LARGEST_ID, StudyId
from api.schemas import Figure

router = APIRouter(tags=["plots"])

PlotName = Annotated[
    str,
    Path(
        max_length=200,
        description="learning-curves, training-loss, history, objective-by-parameter, formula-ID of a formula, "
        "validation-ID of a validation, of a study with several objectives pareto and hypervolume, of one that "
        "measures what later rounds forget forgetting, or of one that inherits layer-importance.",
    ),
]

Highlighted = Annotated[int | None, Query(ge=0, le=LARGEST_ID, description="Number of a trial to highlight.")]


@router.get("/studies/{study_id}/plots/{name}", response_model=Figure)
def get_plot(
    study_id: StudyId,
    name: PlotName,
    session: ReadSession,
    owner: OwnerGiven,
    settings: SettingsGiven,
    trial: Highlighted = None,
) -> dict[str, Any]:
    """Draw a study: a figure for plotly.js; of a large study, the best trials and a fair choice of the others."""
    return plots.figure(session, owner, study_id, name, settings.storage, trial)
