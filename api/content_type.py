"""A body must be of the kind that its route reads, and say so."""

from fastapi import Request
from fastapi.routing import APIRoute

from api.errors import media_type
from api.refusals import wrong_media_type


async def require_content_type(request: Request) -> None:
    """Go on unless the request has a body of another kind than its route reads.

    Raises:
        Refusal: its Content-Type is missing or another one.
    """
    headers = request.headers
    if headers.get("Content-Length", "0") == "0" and "Transfer-Encoding" not in headers:
        return
    route = request.scope["route"]
    if isinstance(route, APIRoute) and route.body_field is not None:
        wanted = str(getattr(route.body_field.field_info, "media_type", "application/json"))
        given = media_type(request)
        if given != wanted:
            raise wrong_media_type(wanted, given)
