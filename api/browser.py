"""A browser that is logged in: its cookie, and whether a request comes from a page of this server."""

from fastapi import Request, Response

from api.refusals import foreign_origin
from studies.service.logins import SESSION_TTL

COOKIE = "formulary_session"


def wants_page(request: Request) -> bool:
    """Whether a person looks at the answer: a browser opens one of the pages."""
    is_read = request.method in ("GET", "HEAD")
    return is_read and "text/html" in request.headers.get("Accept", "") and not request.url.path.startswith("/v1/")


def scheme(request: Request) -> str:
    """What the browser speaks: to this server, or to the proxy before it that ends TLS.

    A proxy says so in X-Forwarded-Proto. Anybody may; who lies only spoils the own cookie.
    """
    return request.headers.get("X-Forwarded-Proto", request.url.scheme).split(",")[-1].strip().lower()


def require_own_origin(request: Request) -> None:
    """Go on only when a page of this server sends the request.

    Raises:
        Refusal: its Origin is missing or another one.
    """
    origin = request.headers.get("Origin")
    own = f"{scheme(request)}://{request.headers.get('Host', '')}"
    if origin is None or origin.lower() != own.lower():
        raise foreign_origin(origin)


def keep_cookie(request: Request, response: Response, text: str) -> None:
    """Let the browser send ``text`` with every request to this server, hidden from scripts and from other sites."""
    age = int(SESSION_TTL.total_seconds())
    secure = scheme(request) == "https"
    response.set_cookie(COOKIE, text, max_age=age, path="/", secure=secure, httponly=True, samesite="strict")


def drop_cookie(request: Request, response: Response) -> None:
    """Let the browser forget its cookie."""
    response.delete_cookie(COOKIE, path="/", secure=scheme(request) == "https", httponly=True, samesite="strict")
