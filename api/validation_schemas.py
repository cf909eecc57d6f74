"""What the API answers about validations."""

from datetime import datetime
from typing import Literal

from api.schemas import Response
from studies.records import StudyState
from studies.validation.judgement import Judgement
from studies.validation.request import ValidationPlan, ValidationRequest


class RungProgressResponse(Response):
    """How far one size is."""

    study_id: int | None
    """The study that trains it; null where it was deleted."""
    state: StudyState | None
    ended: int
    """Runs that have ended, whatever came of them."""
    runs: int


class ValidationResponse(Response):
    """A validation as its trials stand now; ``judgement.verdict`` is there when ``state`` is ended."""

    id: int
    study_id: int
    state: Literal["running", "ended"]
    request: ValidationRequest
    plan: ValidationPlan
    rungs: list[RungProgressResponse]
    """Ascending in size, as in the plan."""
    judgement: Judgement
    created_at: datetime


class ValidationList(Response):
    """Validations of a study's recipe, newest first."""

    validations: list[ValidationResponse]
