"""The OpenAPI document is valid, has an example for every body, and every example is what its schema says."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from api.openapi.examples import load_examples
from studies.specs.parsing import parse_spec

WITHOUT_EFFECT = {"/v1/campaigns:plan"}
"""What is posted to be looked at, and not stored."""
JSON_TYPES = ("application/json", "application/problem+json")


@pytest.fixture
def document(app: FastAPI) -> dict[str, Any]:
    return app.openapi()


def bodies(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every body of a request or a response: where it is, its media type, and what is said about it."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            places = {"request": operation.get("requestBody", {}), **operation["responses"]}
            for place, body in places.items():
                for media_type, content in body.get("content", {}).items():
                    yield f"{method} {path} {place}", media_type, content


def resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = document["components"]["schemas"][name] if name else schema
    return found


def test_the_document_is_valid(document: dict[str, Any], http: httpx.Client) -> None:
    validate(document)
    assert http.get("/openapi.json").json() == document


def test_every_body_has_examples_that_fit_its_schema(document: dict[str, Any]) -> None:
    seen = 0
    for place, media_type, content in bodies(document):
        if media_type not in JSON_TYPES:
            continue
        schema = resolved(document, content["schema"])
        assert schema.get("examples"), place
        validator = Draft202012Validator({**schema, "components": document["components"]})
        for example in schema["examples"]:
            validator.validate(example)
        seen += 1
    assert seen > 20


def test_an_example_that_does_not_fit_would_be_noticed(document: dict[str, Any]) -> None:
    schema = document["components"]["schemas"]["TrialPage"]
    validator = Draft202012Validator({**schema, "components": document["components"]})
    broken = {**load_examples()["TrialPage"], "trials": [{"number": "first"}]}
    assert not validator.is_valid(broken)


def test_no_example_is_left_over(document: dict[str, Any]) -> None:
    assert set(load_examples()) - {"StudySpec"} <= set(document["components"]["schemas"])


def test_the_example_of_a_spec_can_be_run(document: dict[str, Any], http: httpx.Client) -> None:
    (example,) = document["paths"]["/v1/studies"]["post"]["requestBody"]["content"]["application/json"]["schema"][
        "examples"
    ]
    assert parse_spec(example).max_trial_count == 48
    created = http.post("/v1/studies", json=example)
    assert created.status_code == 201
    assert created.json()["spec"] == load_examples()["CreatedStudy"]["spec"]


def test_the_example_of_a_table_can_be_imported(document: dict[str, Any], http: httpx.Client) -> None:
    body = document["paths"]["/v1/studies:import"]["post"]["requestBody"]["content"]["text/csv"]["schema"]
    (table,) = body["examples"]
    headers, parameters = {"Content-Type": "text/csv"}, {"name": "runs", "objective": "bits_per_byte"}
    imported = http.post("/v1/studies:import", params=parameters, content=table, headers=headers)
    assert (imported.status_code, imported.json()["spec"]["rows"]) == (201, 3)


def test_what_is_refused_is_a_problem_everywhere(document: dict[str, Any]) -> None:
    refusals = [(place, kind) for place, kind, _ in bodies(document) if place.rpartition(" ")[2] in ("4XX", "503")]
    assert refusals
    assert {kind for _, kind in refusals} == {"application/problem+json"}


def test_requests_say_that_they_take_keys(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation.get("security", []) == (
                [{"key": []}] if path.startswith("/v1") or path == "/metrics" else []
            ), path
            names = [parameter["name"] for parameter in operation.get("parameters", [])]
            changes = method in ("post", "delete") and path not in WITHOUT_EFFECT
            assert ("Idempotency-Key" in names) == changes, (method, path)
