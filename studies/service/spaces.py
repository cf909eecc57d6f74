"""The search space of a study."""

from sqlalchemy.orm import Session

from model.errors import InvalidInput
from search.space.summary import SpaceSummary, summarize
from studies.service.studies import get_study
from studies.spec import ImportSpec, StudySpec, build_space, stored_spec


def get_space(session: Session, owner: str, study_id: int) -> tuple[StudySpec, SpaceSummary]:
    """Describe the points that a study chooses from.

    Raises:
        NotFound: the owner has no such study.
        InvalidInput: the study was imported.
    """
    spec = stored_spec(get_study(session, owner, study_id).spec)
    if isinstance(spec, ImportSpec):
        raise InvalidInput(
            "study", f"study {study_id} was imported, its points were chosen elsewhere", "list its trials"
        )
    return spec, summarize(build_space(spec))
