"""Recipes and exports of a study, and the operations that write them."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import Field
from sqlalchemy.orm import Session

from model.errors import InvalidInput
from studies.errors import NotFound
from studies.recipe import Recipe, Target, check_format, recipe_for_target, recipe_from_trial
from studies.recipe_models import Places, find_models
from studies.records import Export, Operation
from studies.repository import operations, studies, trials
from studies.service.formulas import MAX_TOGETHER, list_formulas
from studies.service.studies import get_study
from studies.service.targets import TargetRequest
from studies.service.trials import best_trial, get_trial
from studies.spec import MAX_TRIALS, ImportSpec, StudyId, stored_spec

EXPORT = "export"
"""Kind of the operation that writes an export."""
REMEDY = "make recipes from a study that was run here"


class RecipeRequest(TargetRequest):
    """Which config is wanted: that of a trial, or one for a target. Numbers may be texts, as in a query."""

    trial: Annotated[int, Field(ge=0, le=MAX_TRIALS)] | Literal["best"] | None = None
    """Number of a trial, or the best one; the best one when nothing is asked."""
    further: Annotated[tuple[StudyId, ...], Field(alias="with", max_length=MAX_TOGETHER)] = ()
    """Further studies whose trials the laws are fitted to together with this one's."""

    def target(self) -> Target | None:
        """The target; None where a trial is asked for.

        Raises:
            InvalidInput: a target is asked for in part, or beside a trial.
        """
        asked = super().target()
        if asked is not None and self.trial is not None:
            raise InvalidInput("trial", "a trial and a target exclude each other", "leave one of them out")
        return asked


class ExportRequest(RecipeRequest):
    """Which config is wanted, and in which format."""

    format: Literal["hf", "litgpt", "torchtitan", "internevo", "formulary"]


def recipe(session: Session, owner: str, study_id: int, request: RecipeRequest, places: Places) -> Recipe:
    """Make a full-training config out of what a study found; ``places`` hold the networks that it may start from.

    Raises:
        NotFound: the owner has no such study, or it has no such trial.
        InvalidInput: the request is contradictory, or no config can meet it.
    """
    study = get_study(session, owner, study_id)
    spec = stored_spec(study.spec)
    if isinstance(spec, ImportSpec):
        raise InvalidInput("study", f"study {study_id} was imported: how its runs were trained is not known", REMEDY)
    laws = list_formulas(session, owner, study_id, request.further)
    target = request.target()
    models = find_models(session, owner, spec, target, places)
    if target is not None:
        return recipe_for_target(spec, trials.page(session, study_id, None, None), laws, target, models=models)
    if isinstance(request.trial, int):
        return recipe_from_trial(spec, get_trial(session, owner, study_id, request.trial), laws, models)
    best = best_trial(session, owner, study_id)
    if best is None:
        raise InvalidInput("trial", f"study {study_id} has no complete trial", "run it first, or give a target")
    return recipe_from_trial(spec, best, laws, models)


def request_export(
    session: Session, owner: str, study_id: int, request: ExportRequest, places: Places
) -> tuple[Operation, Export]:
    """Ask for an export; a worker writes it. What cannot be made is refused now, and real paths are stored.

    Raises:
        NotFound: the owner has no such study, or it has no such trial.
        InvalidInput: the request is contradictory, no config can meet it, or the format cannot hold it.
    """
    check_format(request.format, recipe(session, owner, study_id, request, places))
    now = datetime.now(UTC)
    document = request.with_real_paths(places.roots).model_dump(mode="json", by_alias=True)
    operation = operations.add(session, study_id, EXPORT, document, now)
    return operation, operations.add_export(session, operation, request.format, now)


def get_export(session: Session, owner: str, study_id: int, export_id: int) -> Export:
    """Find an export of a study.

    Raises:
        NotFound: the owner has no such study, or it has no such export.
    """
    get_study(session, owner, study_id)
    export = operations.get_export(session, export_id)
    if export is None or export.study_id != study_id:
        raise NotFound(f"study {study_id} has no export {export_id}")
    return export


def list_exports(session: Session, owner: str, study_id: int) -> list[Export]:
    """List a study's exports, newest first.

    Raises:
        NotFound: the owner has no such study.
    """
    get_study(session, owner, study_id)
    return operations.list_exports(session, study_id)


def get_operation(session: Session, owner: str, operation_id: int) -> Operation:
    """Find an operation on one of the owner's studies.

    Raises:
        NotFound: there is none.
    """
    operation = operations.get(session, operation_id)
    if operation is None or not _is_of(session, owner, operation):
        raise NotFound(f"there is no operation {operation_id}")
    return operation


def _is_of(session: Session, owner: str, operation: Operation) -> bool:
    study = studies.get(session, operation.study_id)
    return study is not None and study.owner == owner
