"""Requests that HTTP itself refuses, before any study is looked at."""

from collections.abc import Mapping
from http import HTTPStatus

from starlette.exceptions import HTTPException

from model.errors import InvalidInput


class Refusal(InvalidInput):
    """A request that is refused for its headers or its size.

    Args:
        status: what to answer.
        field: the header that is wrong, or ``body``.
        reason: what is wrong with it.
        remedy: what to send instead.
        headers: what the answer's header says beside that.
    """

    def __init__(
        self, status: HTTPStatus, field: str, reason: str, remedy: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(field, reason, remedy)
        self.status = status
        self.headers = headers


class BodyTooLong(HTTPException):
    """More than ``limit`` bytes have come; FastAPI lets no other error pass while it reads a body."""

    def __init__(self, limit: int) -> None:
        super().__init__(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        self.refusal = too_long(limit)


def too_long(limit: int) -> Refusal:
    """The answer to a body of more than ``limit`` bytes."""
    reason = f"it is longer than {limit} bytes"
    return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body", reason, "send less at a time, e.g. fewer rows")


def wrong_media_type(wanted: str, given: str) -> Refusal:
    """The answer to a body of another kind than the route reads."""
    reason = f"{given[:100]!r} is not what is read here" if given else "it is missing"
    return Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Content-Type", reason, f"send '{wanted}'", {"Accept": wanted})


def no_json(reason: str) -> Refusal:
    """The answer to a body that cannot be parsed."""
    remedy = "send one JSON document in UTF-8"
    return Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "body", f"it is not JSON that can be read ({reason})", remedy)


def unreadable_body(is_json: bool) -> Refusal:
    """The answer to a body that the framework gives up on."""
    if is_json:
        return no_json("not UTF-8, nested too deeply, or a number is too long")
    reason = "it is not a form that can be read (broken, or too many fields)"
    return Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "body", reason, "send the fields of the form alone")


def no_such_route(path: str) -> Refusal:
    """The answer to a path that no route has."""
    return Refusal(HTTPStatus.NOT_FOUND, "path", f"{path[:200]!r} is not served", "see /openapi.json for what is")


def wrong_method(method: str, headers: Mapping[str, str] | None) -> Refusal:
    """The answer to a method that a path does not have; ``headers`` hold what it allows."""
    allowed = (headers or {}).get("Allow")
    remedy = f"use {allowed}" if allowed else "see /openapi.json for the method"
    reason = f"{method[:20]!r} is not allowed here"
    return Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "method", reason, remedy, headers)


def unknown_host(host: str) -> Refusal:
    """The answer to a request for a name that this server does not go by."""
    reason = f"{host[:100]!r} is no name of this server" if host else "it is missing"
    remedy = "use its IP address or localhost, or let its operator list the name in FORMULARY_ALLOWED_HOSTS"
    return Refusal(HTTPStatus.MISDIRECTED_REQUEST, "Host", reason, remedy)


def foreign_origin(origin: str | None) -> Refusal:
    """The answer to a browser that was led here by another site's page."""
    reason = "it is missing" if origin is None else f"{origin[:100]!r} is another site"
    remedy = "use this server's own page, or send a key as 'Authorization: Bearer KEY' instead of the cookie"
    return Refusal(HTTPStatus.FORBIDDEN, "Origin", reason, remedy)


def no_key(reason: str) -> Refusal:
    """The answer to a request without a valid key."""
    remedy = "send 'Authorization: Bearer KEY' with a key that 'formulary key create' printed"
    return Refusal(HTTPStatus.UNAUTHORIZED, "Authorization", reason, remedy, {"WWW-Authenticate": "Bearer"})


def role_too_low(needed: str, given: str) -> Refusal:
    """The answer to a key whose role does not reach."""
    remedy = f"use a key that 'formulary key create --role {needed}' printed"
    return Refusal(HTTPStatus.FORBIDDEN, "Authorization", f"its role is {given}; this needs {needed}", remedy)
