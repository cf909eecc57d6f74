"""What a study found: its formulas, and the config that follows from them."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.dependencies import OwnerGiven, ReadSession
from api.routes.paths import StudyId
from api.schemas import FormulaList
from studies import service
from studies.recipe import Recipe

router = APIRouter(tags=["formulas"])


@router.get("/studies/{study_id}/formulas")
def list_formulas(study_id: StudyId, session: ReadSession, owner: OwnerGiven) -> FormulaList:
    """List the newest formulas of a study."""
    return FormulaList(formulas=service.list_formulas(session, owner, study_id))


@router.get("/studies/{study_id}/recipe")
def get_recipe(
    study_id: StudyId, request: Annotated[service.RecipeRequest, Query()], session: ReadSession, owner: OwnerGiven
) -> Recipe:
    """Make a full-training config from a trial, or for a target of total_parameters and tokens."""
    return service.recipe(session, owner, study_id, request)
