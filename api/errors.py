"""Every error as a problem document (RFC 9457), rendered in one place."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from api.refusals import Refusal
from api.schemas import Problem, ProblemDetail
from model.errors import FormularyError, InvalidInput
from studies.errors import Conflict, DatabaseUnusable, NotFound

MEDIA_TYPE = "application/problem+json"
STATUS: dict[type, HTTPStatus] = {
    InvalidInput: HTTPStatus.UNPROCESSABLE_ENTITY,
    NotFound: HTTPStatus.NOT_FOUND,
    Conflict: HTTPStatus.CONFLICT,
    DatabaseUnusable: HTTPStatus.SERVICE_UNAVAILABLE,
    FormularyError: HTTPStatus.BAD_REQUEST,
}
"""Status of each class of the error tree; a class that is not here has its parent's."""


def install_handlers(app: FastAPI) -> None:
    """Let ``app`` answer every error with a problem document."""

    @app.exception_handler(FormularyError)
    async def _formulary(request: Request, error: FormularyError) -> JSONResponse:
        return problem(error, request)

    @app.exception_handler(RequestValidationError)
    async def _validation(request: Request, error: RequestValidationError) -> JSONResponse:
        details = [_invalid(failure["loc"], failure["msg"]) for failure in error.errors()]
        summary = "; ".join(f"{detail.field}: {detail.detail}" for detail in details)
        return _problem(HTTPStatus.UNPROCESSABLE_ENTITY, summary, details)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:
        return _problem(HTTPStatus(error.status_code), str(error.detail), headers=error.headers)

    @app.exception_handler(Exception)
    async def _unexpected(request: Request, error: Exception) -> JSONResponse:
        return _problem(HTTPStatus.INTERNAL_SERVER_ERROR, "an error inside Formulary; its log has the details")


def problem(error: FormularyError, request: Request) -> JSONResponse:
    """The answer to a request that ended with ``error``."""
    if isinstance(error, Refusal):
        return _problem(error.status, str(error), _details(error, request), error.headers)
    status = next(STATUS[cls] for cls in type(error).__mro__ if cls in STATUS)
    return _problem(status, str(error), _details(error, request))


def _problem(
    status: HTTPStatus, detail: str, errors: Sequence[ProblemDetail] = (), headers: Mapping[str, str] | None = None
) -> JSONResponse:
    problem = Problem(title=status.phrase, status=status, detail=detail, errors=list(errors))
    return JSONResponse(problem.model_dump(exclude_none=True), status, headers, MEDIA_TYPE)


def _details(error: FormularyError, request: Request) -> list[ProblemDetail]:
    if not isinstance(error, InvalidInput):
        return []
    in_body = not isinstance(error, Refusal) and is_json(request)
    pointer = pointer_to(error.field.split(".")) if in_body else None
    return [ProblemDetail(field=error.field, pointer=pointer, detail=error.reason, remedy=error.remedy)]


def _invalid(location: Sequence[int | str], message: str) -> ProblemDetail:
    """One failure that FastAPI found; ``location`` starts with body, query, path or header."""
    place, *path = location
    field = ".".join(map(str, path)) or str(place)
    return ProblemDetail(field=field, pointer=pointer_to(path) if place == "body" else None, detail=message)


def is_json(request: Request) -> bool:
    """Whether the request says that its body is JSON."""
    return request.headers.get("Content-Type", "").split(";")[0].strip().lower() == "application/json"


def pointer_to(path: Sequence[int | str]) -> str:
    """A JSON pointer (RFC 6901) as a URI fragment, e.g. ``#/space/depth/low``."""
    return "#" + "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)
