"""Browsers log in with a code or a key, and out again."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi.responses import RedirectResponse

from api.browser import COOKIE, drop_cookie, keep_cookie, require_own_origin
from api.dependencies import get_database
from api.web.rendering import render
from studies import service
from studies.database import Database

router = APIRouter(include_in_schema=False)

DatabaseGiven = Annotated[Database, Depends(get_database)]
MAX_SECRET = 200
"""Longest code or key that is looked up, in characters (assumed; they have 43 and 47)."""
CODE_IS_BAD = "This log-in link was used before, or it is older than ten minutes."
KEY_IS_BAD = "This is not a valid key."


@router.get("/login")
def show_login(
    request: Request, database: DatabaseGiven, code: Annotated[str | None, Query(max_length=MAX_SECRET)] = None
) -> Response:
    """Log in with the code of a link, or ask for a key."""
    if code is None:
        return render("login.html", problem=None)
    with database.session() as session:
        cookie = service.log_in_with_code(session, code)
    return _entered(request, cookie, CODE_IS_BAD)


@router.post("/login")
def log_in(request: Request, database: DatabaseGiven, key: Annotated[str, Form(max_length=MAX_SECRET)]) -> Response:
    """Log in with a key."""
    require_own_origin(request)
    with database.session() as session:
        cookie = service.log_in_with_key(session, key.strip())
    return _entered(request, cookie, KEY_IS_BAD)


@router.post("/logout")
def log_out(request: Request, database: DatabaseGiven) -> Response:
    """End the session."""
    require_own_origin(request)
    with database.session() as session:
        service.log_out(session, request.cookies.get(COOKIE, ""))
    response = RedirectResponse("/login", HTTPStatus.SEE_OTHER)
    drop_cookie(request, response)
    return response


def _entered(request: Request, cookie: str | None, problem: str) -> Response:
    if cookie is None:
        return render("login.html", status=HTTPStatus.UNAUTHORIZED, problem=problem)
    response = RedirectResponse("/", HTTPStatus.SEE_OTHER)
    keep_cookie(request, response, cookie)
    return response
