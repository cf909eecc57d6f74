"""Formulas of several studies together, and studies that would decide what is open."""

import csv
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from model.errors import InvalidInput
from studies import service
from studies.database import Database
from studies.errors import NotFound
from studies.formulas.formula import Formula
from studies.formulas.observations import FitContext, Observation
from studies.formulas.regimes import NAMES, by_regime, completed, distinguishing
from studies.formulas.registry import fit_all
from studies.formulas.simulation.planted import RateBatchPlan, plant_rate_batch
from studies.records import TrialState
from studies.specs.parsing import parse_spec
from studies.suggestions import merged

BATCHES = tuple(2.0**power for power in range(14, 21))


def table(batches: tuple[float, ...], **columns: str) -> bytes:
    planted = plant_rate_batch(RateBatchPlan(batches=BATCHES, missing=0.0), np.random.default_rng(0))
    rows = [row for row in planted if row.parameters["batch_tokens"] in batches]
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["batch_tokens", "learning_rate", "validation_loss", *columns])
    for row in rows:
        loss = row.metrics.get("validation_loss", "")
        writer.writerow([row.parameters["batch_tokens"], row.parameters["learning_rate"], loss, *columns.values()])
    return text.getvalue().encode()


@pytest.fixture
def add(database: Database) -> Callable[..., int]:
    def add(batches: tuple[float, ...], owner: str = "ada", purpose: str = "estimate", **columns: str) -> int:
        read = service.read_import("planted", "validation_loss", purpose, table(batches, **columns))  # type: ignore[arg-type]
        with database.session() as session:
            return service.add_import(session, owner, read).id

    return add


def together(database: Database, study: int, *others: int) -> Formula:
    with database.read_session() as session:
        found = service.list_formulas(session, "ada", study, others)
        law = next(law for law in found if law.kind == "learning_rate_batch" and not law.variant)
        assert service.find_formula(session, "ada", study, law.id) == law
    return law


def test_two_halves_of_a_design_decide_together(database: Database, add: Callable[..., int]) -> None:
    first, second = add(BATCHES[:2], schedule="cosine"), add(BATCHES[2:], schedule="cosine")
    assert together(database, first).coefficients["r"].estimate is None
    law = together(database, first, second, second, first)
    assert law.id == f"{first}+{second}-learning_rate_batch-r1"
    assert law.studies == (str(first), str(second))
    assert law.regime["schedule"] == "cosine"
    assert law.coefficients["r"].estimate == pytest.approx(0.5, abs=0.1)
    with database.read_session() as session:
        assert all(stored.studies == (str(first),) for stored in service.list_formulas(session, "ada", first))


def test_an_adaptive_study_makes_the_whole_exploratory(database: Database, add: Callable[..., int]) -> None:
    first, second = add(BATCHES[:3]), add(BATCHES[3:], purpose="optimise")
    assert together(database, first, second).verdict == "exploratory"


def test_what_cannot_be_compared_is_refused(database: Database, add: Callable[..., int]) -> None:
    cosine, constant = add(BATCHES[:3], schedule="cosine"), add(BATCHES[3:], schedule="wsd")
    foreign = add(BATCHES, owner="bob")
    with database.read_session() as session:
        with pytest.raises(InvalidInput, match=r"^with: schedule is wsd in study .* and cosine in study"):
            service.list_formulas(session, "ada", cosine, [constant])
        with pytest.raises(NotFound):
            service.list_formulas(session, "ada", cosine, [foreign])
        with pytest.raises(InvalidInput, match="give at most 20"):
            service.list_formulas(session, "ada", cosine, range(1000, 1020))


def test_each_schedule_has_a_law_of_its_own() -> None:
    rows = [
        Observation(row.number, row.state, row.parameters, row.metrics, {"schedule": schedule} if row.metrics else {})
        for schedule, exponent in (("cosine", 0.5), ("wsd", 0.2))
        for row in plant_rate_batch(RateBatchPlan(exponent=exponent, jitter=0.01), np.random.default_rng(0))
    ]
    laws = {law.id: law for law in fit_all(rows, FitContext(("7",), "validation_loss")) if not law.variant}
    assert laws["7-learning_rate_batch-cosine-r1"].coefficients["r"].estimate == pytest.approx(0.5, abs=0.05)
    assert laws["7-learning_rate_batch-wsd-r1"].coefficients["r"].estimate == pytest.approx(0.2, abs=0.05)
    assert laws["7-learning_rate_batch-wsd-r1"].statement.endswith("(under schedule wsd)")


def test_a_failed_run_is_of_its_tables_regime() -> None:
    failed = Observation(0, TrialState.FAIL, {}, {}, {})
    done = Observation(1, TrialState.COMPLETE, {}, {}, {"schedule": "wsd", "decay_mode": "coupled"})
    (regime,) = by_regime([failed, done])
    assert dict(zip(NAMES, regime, strict=True))["schedule"] == "wsd"
    assert completed([failed])[0].attributes == {"parametrisation": "standard"}
    assert distinguishing(regime, [regime]) == {}


def suggestion(database: Database, study: int, kind: Any = None) -> dict[str, Any]:
    with database.read_session() as session:
        return dict(service.suggest_study(session, "ada", study, kind).spec)


def test_nothing_is_suggested_where_everything_is_decided(database: Database, add: Callable[..., int]) -> None:
    study = add(BATCHES)
    with pytest.raises(InvalidInput, match="no further study is suggested"):
        suggestion(database, study, "learning_rate_batch")
    with pytest.raises(InvalidInput, match="has no vocabulary formula"):
        suggestion(database, study, "vocabulary")


def test_an_exploratory_law_is_decided_by_a_design(database: Database, add: Callable[..., int]) -> None:
    spec = parse_spec(suggestion(database, add(BATCHES, purpose="optimise"), "learning_rate_batch"))
    assert spec.purpose == "estimate"
    assert spec.name == "planted: learning_rate_batch"
    assert len(spec.inner["learning_rate"]) == 9
    assert spec.space["batch_tokens"].choices == BATCHES  # type: ignore[union-attr]


def test_merge_patch_is_that_of_the_standard() -> None:
    """Examples of RFC 7396, appendix A."""
    assert merged({"a": "b", "b": "c"}, {"a": None}) == {"b": "c"}
    assert merged({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}) == {"a": {"b": "d"}}
    assert merged({"a": [{"b": "c"}]}, {"a": [1]}) == {"a": [1]}
    assert merged({"e": None}, {"a": 1}) == {"e": None, "a": 1}
    assert merged([1, 2], {"a": "b", "c": None}) == {"a": "b"}
    assert merged({}, {"a": {"bb": {"ccc": None}}}) == {"a": {"bb": {}}}
