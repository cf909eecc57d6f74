"""Requests that HTTP itself refuses, before any study is looked at."""

from collections.abc import Mapping
from http import HTTPStatus

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


def no_key(reason: str) -> Refusal:
    """The answer to a request without a valid key."""
    remedy = "send 'Authorization: Bearer KEY' with a key that 'formulary key create' printed"
    return Refusal(HTTPStatus.UNAUTHORIZED, "Authorization", reason, remedy, {"WWW-Authenticate": "Bearer"})


def role_too_low(needed: str, given: str) -> Refusal:
    """The answer to a key whose role does not reach."""
    remedy = f"use a key that 'formulary key create --role {needed}' printed"
    return Refusal(HTTPStatus.FORBIDDEN, "Authorization", f"its role is {given}; this needs {needed}", remedy)
