"""Schedulers in a study spec: what is annealed unasked, what is refused."""

import json

import pytest

from model.errors import InvalidInput
from studies.spec import StudySpec, stored_spec
from studies.specs.parsing import parse_spec
from studies.specs.warnings import spec_warnings


def document(scheduler, evaluations=9, **changes):
    proxy = {"train_bytes": 1_000_000, "evaluations": evaluations, **changes.pop("proxy", {})}
    scheduler = {"kind": scheduler} if isinstance(scheduler, str) else scheduler
    spec = {
        "name": "stopped-early",
        "purpose": "optimise",
        "space": {"learning_rate": {"type": "float", "low": 1e-3, "high": 1e-2, "log": True}},
        "sampler": {"kind": "tpe"},
        "scheduler": scheduler,
        "proxy": proxy,
        "max_trial_count": 20,
    }
    return {**spec, **changes}


@pytest.mark.parametrize(
    ("scheduler", "evaluations", "compared"),
    [
        ("asha", 9, (1, 3)),
        ({"kind": "asha", "reduction_factor": 2, "grace_evaluations": 3}, 9, (3, 6)),
        ("hyperband", 9, (1, 3)),
        ("curve", 16, (1, 2, 4, 8)),
    ],
)
def test_what_is_compared_is_annealed_unless_the_user_says_how(scheduler, evaluations, compared):
    spec = parse_spec(document(scheduler, evaluations))
    assert (spec.proxy.schedule, spec.proxy.annealed_evaluations) == ("wsd", compared)
    stored = json.loads(spec.model_dump_json())
    assert stored_spec(stored) == parse_spec(stored) == spec
    (warning,) = spec_warnings(spec)
    assert f"cool down for evaluations {', '.join(map(str, compared))} of {evaluations}" in warning
    explicit = document(scheduler, evaluations, proxy={"schedule": "wsd", "annealed_evaluations": True})
    assert parse_spec(explicit).proxy.annealed_evaluations is True


def test_the_warning_says_what_the_cooldowns_cost():
    (warning,) = spec_warnings(parse_spec(document("asha")))
    assert "adds 9% to a whole run" in warning  # 0.2 · (1 + 3) / 9
    (warning,) = spec_warnings(parse_spec(document("asha", proxy={"annealed_evaluations": True})))
    assert "adds 80% to a whole run" in warning  # 0.2 · (1 + … + 8) / 9


def test_without_a_scheduler_nothing_is_annealed():
    spec = parse_spec(document("none"))
    assert (spec.proxy.schedule, spec.proxy.annealed_evaluations) == ("cosine", False)
    assert spec_warnings(spec) == []


def refusal(given):
    with pytest.raises(InvalidInput) as caught:
        parse_spec(given)
    return caught.value


@pytest.mark.parametrize(
    ("given", "field", "said"),
    [
        (document("asha", proxy={"schedule": "cosine"}), "proxy.schedule", "favour low rates and small batches"),
        (document("curve", proxy={"annealed_evaluations": False}), "proxy.annealed_evaluations", "favour low rates"),
        (document("asha", proxy={"annealed_evaluations": [1]}), "proxy.annealed_evaluations", "evaluations 3 as well"),
        (document("none", proxy={"schedule": "wsd", "annealed_evaluations": [4, 2]}), "proxy", "out of order"),
        (document("asha", 1), "scheduler.grace_evaluations", "no trial could be stopped"),
        (document({"kind": "asha", "grace_evaluations": 9}), "scheduler.grace_evaluations", "not before the end"),
        (document("hyperband", 3), "proxy.evaluations", "at least 4"),
        (document("curve", 4), "proxy.evaluations", "at least 5"),
        (document({"kind": "curve", "grace_evaluations": 9}), "scheduler.grace_evaluations", "at most 8"),
        (document({"kind": "curve", "reduction_factor": 4}), "scheduler.reduction_factor", "use asha, hyperband"),
        (document({"kind": "asha", "least_chance": 0.1}), "scheduler.least_chance", "use curve"),
        (document("asha", proxy={"train_bytes": None, "train_tokens": 40_000}), "proxy.evaluations", "a longer run"),
        (document("curve", purpose="estimate", sampler={"kind": "qmc"}), "scheduler.kind", "purpose: optimise"),
        (document("hyperband", objectives=[{"metric": "total_parameters"}]), "scheduler.kind", "known at their end"),
        (
            document("asha", inner={"seed": [0, 1]}, resources_per_trial={"stack": 2}),
            "resources_per_trial.stack",
            "use scheduler none",
        ),
    ],
)
def test_a_scheduler_that_has_nothing_to_compare_is_refused(given, field, said):
    error = refusal(given)
    assert error.field == field
    assert said in str(error)


def test_a_study_stored_before_losses_were_annealed_is_still_read():
    stored = json.loads(parse_spec(document("none")).model_dump_json())
    stored["scheduler"] = {"kind": "asha", "reduction_factor": 3, "grace_evaluations": 1}
    spec = stored_spec(stored)
    assert isinstance(spec, StudySpec)
    assert spec.proxy.schedule == "cosine"
    assert refusal(stored).field == "proxy.schedule"
