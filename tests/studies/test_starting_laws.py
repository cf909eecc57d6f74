"""Studies that start from a law: a published one, or the one that was fitted to an earlier study."""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from model.errors import InvalidInput
from search.laws import STEP_LAW
from search.plan import Plan
from search.problem import SearchProblem
from studies import service
from studies.database import Database
from studies.formulas.formula import Formula
from studies.formulas.learning_rate_batch.principal import BROKEN_POWER, POWER
from studies.problem import stored_problem
from studies.records import Study
from studies.repository import formulas
from studies.starting_laws import formula_law

Make = Callable[..., Study]
SPACE = {
    "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True},
    "batch_tokens": {"type": "categorical", "choices": [512, 1024, 2048, 4096]},
}


def no_error(names: list[str]) -> dict[str, Any]:
    matrix = [[0.0] * len(names)] * len(names)
    return {"names": names, "matrix": matrix, "multiplier": 2.0, "logs": ["c"], "logarithmic": True}


def formula(estimate: float | None = 0.5, change: float | None = None) -> Formula:
    """lr* = 0.004·(B/1024)^estimate, from batches of 512 to 4096; with a ``change`` of the exponent from 1024 on."""
    values = {"c": 0.004, "r": estimate, "reference_batch_tokens": 1024.0}
    values |= {} if change is None else {"r_change": change, "knot_batch_tokens": 1024.0}
    expression, names = (POWER, ["c", "r"]) if change is None else (BROKEN_POWER, ["c", "r", "r_change"])
    return Formula.model_validate(
        {
            "id": "rates",
            "revision": 1,
            "kind": "learning_rate_batch",
            "form": "power" if change is None else "broken_power",
            "expression": expression,
            "statement": "planted",
            "latex": "planted",
            "studies": ("1",),
            "size_convention": "total_parameters",
            "observations": 27,
            "domain": {"batch_tokens": (512, 4096)},
            "held_out_error": 0.01,
            "coefficients": {name: {"estimate": value, "low": value, "high": value} for name, value in values.items()},
            "verdict": "exploratory",
            "evidence": {"covariance": no_error(names)},
        }
    )


@pytest.fixture
def make(database: Database, document: dict[str, Any], roots: list[Path]) -> Make:
    def make(owner: str = "ada", **changes: Any) -> Study:
        spec = {**document, "space": SPACE, "inner": {}, "sampler": {}, "purpose": "optimise", **changes}
        spec["proxy"] = {**document["proxy"], "sequence_length": 128, **changes.get("proxy", {})}
        with database.session() as session:
            return service.create_study(session, owner, spec, roots)

    return make


def fit(database: Database, study: Study, fitted: Formula) -> None:
    with database.session() as session:
        formulas.add(session, study.id, [fitted], datetime.now(UTC))


def problem(database: Database, study: Study) -> SearchProblem:
    with database.read_session() as session:
        return stored_problem(session, study, None)


def test_the_sampler_of_optimise_is_bowl_and_goes_by_a_published_law(database: Database, make: Make) -> None:
    made = problem(database, make(start={"law": "step_law"}))
    assert made.sampler.kind == "bowl"
    assert made.start.law is STEP_LAW
    assert made.start.points == ()


@pytest.mark.parametrize("kind", ["tpe", "random", "qmc"])
def test_other_samplers_try_the_laws_point_after_those_that_are_given(
    database: Database, make: Make, kind: str
) -> None:
    mine = {"learning_rate": 1e-3, "batch_tokens": 512}
    made = problem(database, make(start={"law": "step_law", "points": [mine]}, sampler={"kind": kind}))
    plan = Plan(made, [])
    (first,), (second,) = plan.start_next(), plan.start_next()
    assert first.parameters == mine
    rates = [STEP_LAW.best_rate(second.attributes["total_parameters"] - 1024 * 128, 1000, 0)]
    assert second.parameters["learning_rate"] == pytest.approx(min(*rates, 0.1))
    assert second.attributes["origin"] == "start"


def test_the_law_of_an_earlier_study_is_taken_where_it_has_one(database: Database, make: Make) -> None:
    earlier = make()
    assert problem(database, make(start={"study": earlier.id})).start.law is None
    fit(database, earlier, formula())
    for asked in ({}, {"law": "study"}):
        law = problem(database, make(start={"study": earlier.id, **asked})).start.law
        assert law is not None
        assert law.best_rate(1e6, 1e6, 4096) == pytest.approx(0.008)
        assert law.best_batch(1e6, 1e6) is None
        assert "exploratory" in law.source
    published = problem(database, make(start={"study": earlier.id, "law": "step_law"}))
    assert published.start.law is STEP_LAW


def test_a_law_that_is_not_there_is_refused(database: Database, make: Make) -> None:
    earlier = make()
    fit(database, earlier, formula(estimate=None))
    with pytest.raises(InvalidInput, match="has no learning_rate_batch law") as refused:
        make(start={"study": earlier.id, "law": "study"})
    assert refused.value.field == "start.law"
    with pytest.raises(InvalidInput, match="no study"):
        make(owner="eve", start={"study": earlier.id, "law": "study"})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"start": {"law": "study"}}, "no study to take it from"),
        ({"start": {"law": "step_law"}, "space": {"depth": {"type": "int", "low": 1, "high": 3}}}, "has neither"),
        ({"start": {"law": "step_law"}, "proxy": {"init_scheme": "mup"}}, "not under mup"),
    ],
)
def test_a_law_that_cannot_be_used_is_refused(make: Make, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason) as refused:
        make(**changes)
    assert refused.value.field == "start.law"


def test_a_broken_power_becomes_the_power_through_its_ends() -> None:
    law = formula_law(formula(estimate=0.6, change=-0.6))
    assert law is not None
    ends = law.best_rate(1.0, 1.0, 512), law.best_rate(1.0, 1.0, 4096)
    assert math.log(ends[1] / ends[0]) == pytest.approx(0.6 * math.log(2))
