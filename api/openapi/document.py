"""The OpenAPI document: what FastAPI derives from the routes, with examples, and problems as they are sent."""

from typing import Any

from fastapi import FastAPI

from api.errors import MEDIA_TYPE
from api.openapi.examples import load_examples

Json = dict[str, Any]
JSON = "application/json"
SCHEMA = "#/components/schemas/"


def install_openapi(app: FastAPI) -> None:
    """Let ``app`` complete its document when it is first asked for."""
    derive = app.openapi

    def openapi() -> Json:
        if app.openapi_schema is None:
            _complete(derive())
        return derive()

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's way to extend the document


def _complete(document: Json) -> None:
    for name, example in load_examples().items():
        if name in document["components"]["schemas"]:
            document["components"]["schemas"][name]["examples"] = [example]
    for operations in document["paths"].values():
        for operation in operations.values():
            _mark_problems(operation["responses"])


def _mark_problems(responses: Json) -> None:
    for response in responses.values():
        content = response.get("content", {})
        if content.get(JSON, {}).get("schema") == {"$ref": f"{SCHEMA}Problem"}:
            content[MEDIA_TYPE] = content.pop(JSON)
