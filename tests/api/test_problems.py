"""Errors are problem documents that point at the offending field."""

from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.errors import pointer_to
from api.limits import MAX_TABLE_BYTES
from api.settings import Settings

SPEC = {
    "name": "tiny",
    "space": {"depth": {"type": "int", "low": 1, "high": 2}},
    "proxy": {"corpus": {"kind": "builtin"}, "train_bytes": 10_000},
    "max_trial_count": 2,
}


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["status"] == status
    return document


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"space": {"depth": {"type": "int", "low": 5, "high": 2}}}, "#/space/depth"),
        ({"bogus": 1}, "#/bogus"),
        ({"name": "  "}, "#/name"),
        ({"name": "\x1b[31m"}, "#/name"),
        ({"tags": ["a", "\x1b[31m"]}, "#/tags/1"),
        ({"description": "a\0b"}, "#/description"),
        ({"max_trial_count": 0}, "#/max_trial_count"),
        ({"proxy": {"corpus": {"kind": "text", "path": "/etc/passwd"}, "train_bytes": 1000}}, "#/proxy/corpus/path"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_bad_spec_points_at_the_field(http: httpx.Client, change: dict[str, object], pointer: str) -> None:
    document = problem(http.post("/v1/studies", json={**SPEC, **change}), 422)
    (error,) = document["errors"]
    assert error["pointer"].startswith(pointer)
    assert error["detail"]
    assert error["remedy"]
    assert http.get("/v1/studies").json()["studies"] == []


def test_a_bad_query_names_the_parameter(http: httpx.Client) -> None:
    document = problem(http.get("/v1/studies", params={"page_size": 0}), 422)
    (error,) = document["errors"]
    assert error["field"] == "page_size"
    assert "pointer" not in error


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/studies/999", 404),
        ("GET", "/v1/studies/999/trials", 404),
        ("GET", "/v1/studies/999/best-trials", 404),
        ("GET", "/v1/studies/999/formulas", 404),
        ("GET", "/v1/studies/999/recipe", 404),
        ("GET", "/v1/studies/999/exports", 404),
        ("GET", "/v1/operations/999", 404),
        ("POST", "/v1/studies/999:cancel", 404),
        ("DELETE", "/v1/studies/999", 404),
        ("GET", "/v1/studies/99999999999999999999", 422),
        ("GET", "/v1/studies/none", 422),
        ("GET", "/v1/nothing", 404),
        ("PUT", "/v1/studies", 405),
        ("POST", "/v1/studies/1:explode", 422),
    ],
)
def test_every_refusal_is_a_problem(http: httpx.Client, method: str, path: str, status: int) -> None:
    assert problem(http.request(method, path), status)["detail"]


def test_numbers_beyond_the_database_or_a_double_are_refused(http: httpx.Client, study: int) -> None:
    for name, target in {"trial": {"trial": 10**20}, "tokens": {"total_parameters": 1, "tokens": 10**400}}.items():
        request = {"format": "hf", **target}
        assert problem(http.post(f"/v1/studies/{study}/exports", json=request), 422)["detail"].startswith(name)
    for name in ("train_tokens", "train_bytes", "train_flops"):
        spec = {**SPEC, "proxy": {"corpus": {"kind": "builtin"}, name: 10**400}}
        assert problem(http.post("/v1/studies", json=spec), 422)["errors"][0]["field"] == f"proxy.{name}"


@pytest.mark.parametrize("name", ["a\nb\x1b[31m\u202e", "a" * 500_000], ids=["unprintable", "long"])
@pytest.mark.parametrize("path", ["/v1/studies", "/v1/keys"])
def test_what_is_said_about_a_strange_name_is_one_short_line(http: httpx.Client, path: str, name: str) -> None:
    answer = http.post(path, json={**SPEC, "role": "read", name: 1})
    assert problem(answer, 422)["detail"].isprintable()
    assert len(answer.content) < 10_000


def test_few_of_very_many_errors_are_listed(http: httpx.Client) -> None:
    document = problem(http.post("/v1/keys", json={f"k{number}": 1 for number in range(1000)}), 422)
    assert len(document["errors"]) == 20
    assert document["detail"].endswith("(and 982 more)")


def test_a_choice_between_kinds_is_named_once(http: httpx.Client, study: int) -> None:
    (body,) = problem(http.post(f"/v1/studies/{study}/exports", json={"format": "hf", "trial": -1}), 422)["errors"]
    (query,) = problem(http.get(f"/v1/studies/{study}/recipe", params={"trial": "x"}), 422)["errors"]
    assert (body["field"], body["pointer"], query["field"]) == ("trial", "#/trial", "trial")


def test_a_state_that_does_not_allow_it_is_a_conflict(http: httpx.Client, study: int) -> None:
    problem(http.post(f"/v1/studies/{study}:cancel"), 409)


def test_a_database_that_cannot_be_used_is_unavailable(http: httpx.Client, settings: Settings) -> None:
    for file in settings.home.glob("formulary.db*"):
        file.write_bytes(b"no database at all " * 100)
    document = problem(http.get("/v1/studies"), 503)
    assert "--database-url" in document["detail"]


def test_broken_json_is_refused(http: httpx.Client) -> None:
    problem(http.post("/v1/studies", content=b"{", headers={"Content-Type": "application/json"}), 422)


def test_a_long_body_is_refused(http: httpx.Client) -> None:
    parameters = {"name": "x", "objective": "bits_per_byte"}
    problem(http.post("/v1/studies:import", params=parameters, content=bytes(MAX_TABLE_BYTES + 1)), 413)


@given(st.lists(st.text(), max_size=4))
def test_a_pointer_can_be_read_back(path: list[str]) -> None:
    parts = pointer_to(path).removeprefix("#").split("/")[1:]
    assert [part.replace("~1", "/").replace("~0", "~") for part in parts] == path
