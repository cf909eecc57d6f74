"""What the page of all studies shows."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from api.authentication import Identity
from studies import service
from studies.database import Session
from studies.records import ACTIVE_STUDY_STATES, StudyState
from studies.service.overviews import find_overviews

PAGE_SIZE = 25
FILTERS: Mapping[str, frozenset[StudyState]] = {
    "all": frozenset(StudyState),
    "active": ACTIVE_STUDY_STATES,
    "completed": frozenset({StudyState.COMPLETED}),
    "ended": frozenset({StudyState.CANCELLED, StudyState.FAILED}),
}
"""Which states each choice of the filter shows."""
LABELS = {"all": "All", "active": "Active", "completed": "Completed", "ended": "Cancelled or failed"}


def studies_page(session: Session, identity: Identity, chosen: str, text: str, before: int | None) -> dict[str, Any]:
    """Read everything that the template ``studies.html`` shows."""
    found = find_overviews(session, identity.owner, FILTERS[chosen], text, before, PAGE_SIZE + 1)
    page = found[:PAGE_SIZE]
    older = {"show": chosen, "q": text, "before": page[-1].study.id} if len(found) > PAGE_SIZE else None
    return {
        "identity": identity,
        "section": "studies",
        "overviews": page,
        "chosen": chosen,
        "labels": LABELS,
        "text": text,
        "filtered": chosen != "all" or bool(text),
        "first_page": before is None,
        "newest": "/?" + urlencode({"show": chosen, "q": text}),
        "older": older and "/?" + urlencode(older),
        "workers": service.list_workers(session),
        "any_active": any(shown.study.state in ACTIVE_STUDY_STATES for shown in page),
    }
