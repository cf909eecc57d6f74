"""The way into Ray's dashboard: the address at which a browser reaches it, and who gets Ray's cookie."""

import ipaddress
from urllib.parse import SplitResult, quote, urlsplit

from studies.errors import Conflict

COOKIE = "ray-authentication-token"
"""Ray's own cookie (Ray 2.60, ``ray/_private/authentication/authentication_constants.py``). A browser sends a cookie to
every port of a host, so that an answer of ours can set it."""


def dashboard_page(address: str, job_id: str | None, request_host: str) -> SplitResult:
    """The page of a job, or the list of jobs.

    Args:
        address: base address of the dashboard.
        job_id: Ray's submission id.
        request_host: the name by which the browser reached us. A dashboard on the loopback interface gets the same
            name, because 127.0.0.1 and localhost are different hosts to a browser's cookies.

    Raises:
        Conflict: the dashboard is on the loopback interface, and the browser is on another machine.
    """
    parts = urlsplit(address)
    if is_loopback(parts.hostname or ""):
        if not is_loopback(request_host):
            raise Conflict(
                f"the Ray dashboard listens on the loopback interface of {request_host} only; forward its port and "
                f"ours, e.g. with ssh -L {parts.port}:127.0.0.1:{parts.port}, and open this page on 127.0.0.1"
            )
        name = f"[{request_host}]" if ":" in request_host else request_host
        parts = parts._replace(netloc=f"{name}:{parts.port}" if parts.port else name)
    page = "/jobs" if job_id is None else f"/jobs/{quote(job_id, safe='')}"
    return parts._replace(path=parts.path.rstrip("/") + "/", query="", fragment=page)


def is_loopback(host: str) -> bool:
    """Whether a host name means the machine itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
