"""Scripts, styles and plotly.js, all served by us."""

from importlib.metadata import distribution, version
from os import PathLike, stat_result
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.types import Scope

OWN_FILES = Path(__file__).parent / "static"
PLOTLY_URL = f"/static/plotly.min.js?v={version('plotly')}"
"""Names the version, so that browsers may keep the file for good."""


class OwnFiles(StaticFiles):
    """Our files: small, and asked for again each time, answered 304 while they are unchanged."""

    def file_response(
        self, full_path: str | PathLike[str], stat_result: stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """Answer with a file that browsers ask about before they use their copy."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["Cache-Control"] = "no-cache"
        return response


def install_assets(app: FastAPI) -> None:
    """Let ``app`` serve everything below ``/static``; no key is asked for it."""

    @app.api_route("/static/plotly.min.js", methods=["GET", "HEAD"], include_in_schema=False)
    def plotly() -> FileResponse:
        """Answer with the file of the installed plotly package, which need not be imported for it."""
        path = distribution("plotly").locate_file("plotly/package_data/plotly.min.js")
        headers = {"Cache-Control": "public, max-age=31536000, immutable"}
        return FileResponse(str(path), media_type="text/javascript", headers=headers)

    app.mount("/static", OwnFiles(directory=OWN_FILES))
