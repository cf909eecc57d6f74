"""The events of a study, as they happen."""

from typing import Annotated

import anyio
from fastapi import APIRouter, Header, HTTPException, Query, Request, status
from sse_starlette import EventSourceResponse

from api.authentication import IdentityGiven
from api.dependencies import ReadSession
from api.events import EventStreams
from api.routes.paths import LARGEST_ID, StudyId
from api.schemas import Problem
from studies import service
from studies.service.watching import BEFORE_EVERYTHING

router = APIRouter(tags=["events"])

RETRY_AFTER_S = 5
SEND_TIMEOUT_S = 30.0
"""Longest time that a client may leave events unread (assumed)."""
CLOSING_S = 2.0
"""Time that a stream is given to end when the server does (assumed)."""

KINDS = (
    "Events: trial (as /trials/{number} has it), value (number, step, metric, value), formulas (revision), "
    "study (as /studies/{id} has it, with trial_counts), end (state, or DELETED)."
)
EXAMPLE = (
    'event: value\ndata: {"number":3,"step":100,"metric":"bits_per_byte","value":2.93}\n\n'
    'event: formulas\ndata: {"revision":1}\n\n'
    'event: end\ndata: {"state":"COMPLETED"}\n\n'
)

Seen = Annotated[int | None, Header(alias="Last-Event-ID", ge=0, le=LARGEST_ID, description="Go on after this id.")]
SeenInQuery = Annotated[int | None, Query(ge=0, le=LARGEST_ID, description="The same, where headers cannot be set.")]


@router.get(
    "/studies/{study_id}/events",
    response_class=EventSourceResponse,
    responses={
        200: {
            "content": {"text/event-stream": {"schema": {"type": "string"}, "example": EXAMPLE}},
            "description": KINDS,
        },
        503: {"model": Problem, "description": "Too many streams are open."},
    },
)
def watch_study(
    study_id: StudyId,
    session: ReadSession,
    identity: IdentityGiven,
    request: Request,
    seen: Seen = None,
    last_event_id: SeenInQuery = None,
) -> EventSourceResponse:
    """Follow a study until it ends, from its beginning or from the last id seen.

    A trial whose ``attempts`` grew has lost its worker and starts anew: forget its values. An event may come twice.
    """
    service.get_study(session, identity.owner, study_id)
    streams: EventStreams = request.app.state.event_streams
    if streams.full:
        message = f"{streams.open} event streams are open; close one, or try again later"
        raise HTTPException(status.HTTP_503_SERVICE_UNAVAILABLE, message, {"Retry-After": str(RETRY_AFTER_S)})
    since = next((revision for revision in (seen, last_event_id) if revision is not None), BEFORE_EVERYTHING)
    closing = anyio.Event()
    return EventSourceResponse(
        streams.stream(identity, study_id, since, closing),
        send_timeout=SEND_TIMEOUT_S,
        shutdown_event=closing,
        shutdown_grace_period=CLOSING_S,
    )
