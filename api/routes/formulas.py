"""What a study found: its formulas, and the config that follows from them."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.dependencies import OwnerGiven, ReadSession, SettingsGiven
from api.routes.paths import FurtherStudies, PresetName, StudyId
from api.schemas import FormulaList, StudySuggestion
from studies import service
from studies.formulas.formula import FormulaKind
from studies.recipe import Recipe
from studies.suggestions import Suggestion

router = APIRouter(tags=["formulas"])


@router.get("/studies/{study_id}/formulas")
def list_formulas(
    study_id: StudyId, session: ReadSession, owner: OwnerGiven, others: FurtherStudies = ()
) -> FormulaList:
    """List the newest formulas of a study, or those of several studies together, which are fitted when asked for."""
    return FormulaList(formulas=service.list_formulas(session, owner, study_id, others))


@router.get("/studies/{study_id}/suggestion", response_model=StudySuggestion)
def suggest_study(
    study_id: StudyId,
    session: ReadSession,
    owner: OwnerGiven,
    kind: Annotated[FormulaKind | None, Query(description="What to decide; else the first that lacks data.")] = None,
) -> Suggestion:
    """Suggest a study whose trials would decide an undetermined formula."""
    return service.suggest_study(session, owner, study_id, kind)


@router.get("/studies/{study_id}/recipe")
def get_recipe(
    study_id: StudyId,
    request: Annotated[service.RecipeRequest, Query()],
    session: ReadSession,
    owner: OwnerGiven,
    settings: SettingsGiven,
) -> Recipe:
    """Make a full-training config from a trial, or for a target of total_parameters and tokens.

    For a target each recommended value comes with its source, its range and what being wrong costs; the GPUs, the floor
    of decoding speed, the cap of the batch, a parent and a teacher are optional.
    """
    places = service.Places(settings.storage, settings.corpus_roots)
    return service.recipe(session, owner, study_id, request, places)


@router.get("/presets/{preset}/recipe")
def get_preset_recipe(
    preset: PresetName, request: Annotated[service.TargetRequest, Query()], settings: SettingsGiven
) -> Recipe:
    """Make a full-training config for a target from published findings: preset paper, those of PanGu-π Pro."""
    return service.preset_recipe(preset, request, settings.corpus_roots)
