"""Ray's dashboard, opened for admins: who is in it can run code on the cluster."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, status
from fastapi.responses import RedirectResponse

from api.authentication import AdminGiven
from api.dependencies import ReadSession, SettingsGiven
from api.ray_dashboard import COOKIE, dashboard_page
from api.routes.paths import LARGEST_ID
from studies import service
from studies.database import Session
from studies.errors import Conflict

router = APIRouter(include_in_schema=False)


@router.get("/ray-dashboard")
def open_ray_dashboard(
    request: Request,
    session: ReadSession,
    admin: AdminGiven,
    settings: SettingsGiven,
    study: Annotated[int | None, Query(ge=1, le=LARGEST_ID)] = None,
) -> RedirectResponse:
    """Send the browser to the study's job in Ray's dashboard, or to the list of jobs, with the token as a cookie."""
    address, job_id = _latest_dashboard(session) if study is None else _job(session, admin.owner, study)
    host = request.url.hostname or ""
    page = dashboard_page(settings.ray_dashboard_link or address, job_id, host)
    answer = RedirectResponse(page.geturl(), status.HTTP_303_SEE_OTHER, headers={"Cache-Control": "no-store"})
    token = settings.ray_token()
    if token is not None and page.hostname == host:
        answer.set_cookie(COOKIE, token, httponly=True, samesite="strict", secure=page.scheme == "https")
    return answer


def _job(session: Session, owner: str, study_id: int) -> tuple[str, str | None]:
    study = service.get_study(session, owner, study_id)
    if study.dashboard_url is None:
        raise Conflict(f"study {study_id} is {study.state}; no worker has given it to Ray yet")
    return study.dashboard_url, study.job_id


def _latest_dashboard(session: Session) -> tuple[str, None]:
    addresses = [worker.dashboard_url for worker in service.list_workers(session) if worker.dashboard_url]
    if not addresses:
        raise Conflict("no worker runs, and a worker is what starts Ray or knows it; start 'formulary worker'")
    return addresses[-1], None
