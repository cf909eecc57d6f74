"""Every error as a problem document (RFC 9457), or as a page where a browser wants one; rendered in one place."""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from api.browser import wants_page
from api.middleware.response_headers import SECURITY_HEADERS
from api.refusals import BodyTooLong, Refusal, no_json, no_such_route, unreadable_body, wrong_method
from api.schemas import Problem, ProblemDetail
from api.web.rendering import render
from model.errors import MAX_FIELD, FormularyError, InvalidInput
from studies.errors import Conflict, DatabaseUnusable, NotFound
from studies.specs.errors import by_path, explain

MEDIA_TYPE = "application/problem+json"
JSON = "application/json"
STATUS: dict[type, HTTPStatus] = {
    InvalidInput: HTTPStatus.UNPROCESSABLE_ENTITY,
    NotFound: HTTPStatus.NOT_FOUND,
    Conflict: HTTPStatus.CONFLICT,
    DatabaseUnusable: HTTPStatus.SERVICE_UNAVAILABLE,
    FormularyError: HTTPStatus.BAD_REQUEST,
}
"""Status of each class of the error tree; a class that is not here has its parent's."""
FRAMEWORK_ERRORS: Mapping[int, Callable[[Request, HTTPException], Refusal]] = {
    HTTPStatus.BAD_REQUEST: lambda request, error: unreadable_body(is_json(request)),
    HTTPStatus.NOT_FOUND: lambda request, error: no_such_route(request.url.path),
    HTTPStatus.METHOD_NOT_ALLOWED: lambda request, error: wrong_method(request.method, error.headers),
}
"""What Starlette and FastAPI raise themselves."""
MOST_LISTED = 20
"""Errors of one request that its answer lists (assumed: more than anybody corrects at once)."""
INTERNAL = "an error inside Formulary; its log has the details"


def install_handlers(app: FastAPI) -> None:
    """Let ``app`` answer every error with a problem document."""

    @app.exception_handler(FormularyError)
    async def _formulary(request: Request, error: FormularyError) -> Response:
        return problem(error, request)

    @app.exception_handler(RequestValidationError)
    async def _validation(request: Request, error: RequestValidationError) -> Response:
        return _validation_problem(error, request)

    @app.exception_handler(BodyTooLong)
    async def _body(request: Request, error: BodyTooLong) -> Response:
        return problem(error.refusal, request)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        refuse = FRAMEWORK_ERRORS.get(error.status_code)
        if refuse is not None:
            return problem(refuse(request, error), request)
        return _problem(request, HTTPStatus(error.status_code), str(error.detail), headers=error.headers)

    @app.exception_handler(Exception)
    async def _unexpected(request: Request, error: Exception) -> Response:
        return _problem(request, HTTPStatus.INTERNAL_SERVER_ERROR, INTERNAL, headers=SECURITY_HEADERS)


def problem(error: FormularyError, request: Request) -> Response:
    """The answer to a request that ended with ``error``."""
    if isinstance(error, Refusal):
        return _problem(request, error.status, str(error), [_detail(error, in_body=False)], error.headers)
    status = next(STATUS[cls] for cls in type(error).__mro__ if cls in STATUS)
    details = [_detail(error, is_json(request))] if isinstance(error, InvalidInput) else []
    return _problem(request, status, str(error), details)


def _problem(
    request: Request,
    status: HTTPStatus,
    detail: str,
    errors: Sequence[ProblemDetail] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    if wants_page(request):
        identity = getattr(request.state, "identity", None)
        page = render("error.html", status=status, identity=identity, title=status.phrase, detail=detail)
        page.headers.update(headers or {})
        return page
    document = Problem(title=status.phrase, status=status, detail=detail, errors=list(errors))
    return JSONResponse(document.model_dump(exclude_none=True), status, headers, MEDIA_TYPE)


def _detail(error: InvalidInput, in_body: bool) -> ProblemDetail:
    pointer = pointer_to(error.field.split(".")) if in_body else None
    return ProblemDetail(field=error.field, pointer=pointer, detail=error.reason, remedy=error.remedy)


def _validation_problem(error: RequestValidationError, request: Request) -> Response:
    failures: Sequence[Mapping[str, Any]] = error.errors()
    broken = next((failure for failure in failures if failure["type"] == "json_invalid"), None)
    if broken is not None:
        return problem(no_json(f"{broken['ctx']['error']} at character {broken['loc'][-1]}"), request)
    sent = {"body": error.body, "query": request.query_params, "path": request.path_params, "header": request.headers}
    found = list(by_path(failures, sent).items())
    details = [_invalid(path, failure) for path, failure in found[:MOST_LISTED]]
    summary = "; ".join(f"{detail.field}: {detail.detail}; {detail.remedy}" for detail in details)
    more = f" (and {len(found) - MOST_LISTED} more)" if len(found) > MOST_LISTED else ""
    return _problem(request, HTTPStatus.UNPROCESSABLE_ENTITY, summary + more, details)


def _invalid(location: Sequence[int | str], failure: Mapping[str, Any]) -> ProblemDetail:
    """One failure that FastAPI found; its location starts with body, query, path or header."""
    place, *path = location
    error = InvalidInput(".".join(map(str, path)) or str(place), *explain(failure))
    pointer = pointer_to([str(part)[:MAX_FIELD] for part in path]) if place == "body" else None
    return ProblemDetail(field=error.field, pointer=pointer, detail=error.reason, remedy=error.remedy)


def is_json(request: Request) -> bool:
    """Whether the request says that its body is JSON."""
    return media_type(request) == JSON


def media_type(request: Request) -> str:
    """What the request says that its body is, without parameters; empty when it says nothing."""
    return request.headers.get("Content-Type", "").split(";")[0].strip().lower()


def pointer_to(path: Sequence[int | str]) -> str:
    """A JSON pointer (RFC 6901) as a URI fragment, e.g. ``#/space/depth/low``."""
    return "#" + "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)
