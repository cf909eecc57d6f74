"""Points follow the declared distribution, conditioned on what is feasible, as drawing and throwing away would give."""

from collections import Counter
from functools import cache

import numpy as np
import pytest
from scipy.stats import chi2_contingency, ks_2samp

from model.config import ArchitectureConfig
from model.counts import count_parameters
from search.problem import SearchProblem
from search.samplers.designs import GridDesign, QmcDesign, RandomDesign
from search.settings import Objective, Resources, SamplerSpec, SchedulerSpec
from tests.search.space.spaces import PROXY, build, choices, floats, integers

DRAWS = 3000
SIGNIFICANCE = 1e-3
"""Seeds are fixed, so that a test that passes goes on passing."""


def brute_force(declared, conditions, feasible, seed, draws=DRAWS):
    """Draw every parameter by itself, forget those that do not exist, and throw infeasible points away."""
    rng = np.random.default_rng(seed)
    kept = []
    while len(kept) < draws:
        values = {name: parameter.quantile(float(rng.random())) for name, parameter in declared.items()}
        for child, parents in conditions.items():  # parents come before their children
            if any(values.get(parent) not in allowed for parent, allowed in parents.items()):
                del values[child]
        if feasible(values):
            kept.append(values)
    return kept


def same_cells(drawn, expected, names):
    cells = [Counter(tuple(values.get(name) for name in names) for values in one) for one in (drawn, expected)]
    every = sorted(set(cells[0]) | set(cells[1]), key=str)
    table = np.array([[cell[key] for key in every] for cell in cells])
    common = table[:, table.sum(axis=0) >= 10]
    assert common.sum() > 0.95 * table.sum()
    assert chi2_contingency(common).pvalue > SIGNIFICANCE


def draw(space, draws=DRAWS, seed=1):
    rng = np.random.default_rng(seed)
    return [space.draw(rng).values for _ in range(draws)]


def test_enumerated_expressions_and_conditions():
    declared = {
        "depth": integers(1, 12, log=True),
        "block": choices("llama", "pangu_pi"),
        "width": integers(32, 160, step=32),
        "kv_heads": choices(1, 2),
    }
    conditions = {"kv_heads": {"block": ("llama",)}}
    space = build(declared, conditions=conditions, expressions=["depth * width <= 512", "kv_heads < 2 * depth"])
    assert not space.checks

    def feasible(values):
        heads = values["width"] // 32
        kv_heads = values.get("kv_heads", heads)
        whole = heads % values.get("kv_heads", 1) == 0
        return whole and values["depth"] * values["width"] <= 512 and kv_heads < 2 * values["depth"]

    same_cells(draw(space), brute_force(declared, conditions, feasible, 2), tuple(declared))


def test_limits_under_a_budget():
    declared = {
        "depth": integers(1, 16),
        "vocabulary_size": choices(512, 1024, 2048),
        "width": integers(32, 320, step=32),
    }
    space = build(
        declared,
        total_parameters={"target": 1_000_000, "solve_for": "ffn_ratio", "range": {"low": 1.0, "high": 4.0}},
        embedding_share={"high": 0.25},
    )

    @cache
    def is_feasible(depth, vocabulary_size, width):
        shape = {"depth": depth, "vocabulary_size": vocabulary_size, "width": width, "head_dim": 32}
        one, two = (count_parameters(ArchitectureConfig(**shape, ffn_width=width)).total for width in (1, 2))
        ffn_width = np.clip(1 + (1_000_000 - one) / (two - one), width, 4 * width)
        total = one + (ffn_width - 1) * (two - one)
        share = vocabulary_size * width / total
        return abs(total / 1_000_000 - 1) <= 0.03 and share <= 0.25

    drawn = [{name: values[name] for name in declared} for values in draw(space)]
    same_cells(drawn, brute_force(declared, {}, lambda values: is_feasible(**values), 3), tuple(declared))


def test_constraints_over_continuous_parameters():
    declared = {
        "init_scheme": choices("constant", "gpt2"),
        "learning_rate": floats(1e-4, 1e-2, log=True),
        "weight_decay": floats(0.0, 0.4),
        "batch_tokens": integers(256, 4096, step=256),
    }
    conditions = {"weight_decay": {"init_scheme": ("gpt2",)}}
    texts = ["learning_rate * weight_decay <= 5e-4", "batch_tokens >= 2e5 * learning_rate"]
    space = build(declared, conditions=conditions, expressions=texts)
    assert [rule.text for rule in space.checks] == texts

    def feasible(values):
        decay = values.get("weight_decay", PROXY.weight_decay)
        return values["learning_rate"] * decay <= 5e-4 and values["batch_tokens"] >= 2e5 * values["learning_rate"]

    drawn, expected = draw(space, 1500), brute_force(declared, conditions, feasible, 4, 1500)
    same_cells(drawn, expected, ("init_scheme", "batch_tokens"))
    for name in ("learning_rate", "weight_decay"):
        here, there = ([values[name] for values in one if name in values] for one in (drawn, expected))
        assert ks_2samp(here, there).pvalue > SIGNIFICANCE
    rng = np.random.default_rng(5)
    tried = [{name: one.quantile(float(rng.random())) for name, one in declared.items()} for _ in range(DRAWS)]
    for values in tried:
        if values["init_scheme"] != "gpt2":
            del values["weight_decay"]
    share = sum(map(feasible, tried)) / DRAWS
    error = (share * (1 - share) / DRAWS) ** 0.5
    assert space.acceptance.rate == pytest.approx(share, abs=4 * error)
    assert [space.accepts(values) for values in tried[:500]] == [feasible(values) for values in tried[:500]]


def problem(space, kind, count=64, seed=3):
    return SearchProblem(
        study="study-1",
        space=space,
        objectives=(Objective(metric="bits_per_byte"),),
        sampler=SamplerSpec(kind=kind, seed=seed),
        scheduler=SchedulerSpec(),
        max_trial_count=count,
        parallel_trial_count=2,
        resources=Resources(),
        storage=None,
    )


CHECKED = {"depth": integers(1, 8), "learning_rate": floats(1e-4, 1e-2, log=True)}


@pytest.mark.parametrize("design", [RandomDesign, QmcDesign])
def test_a_design_takes_accepted_points_only_and_each_is_its_index_s_own(design):
    space = build(CHECKED, expressions=["depth * learning_rate <= 4e-3"])
    kind = "random" if design is RandomDesign else "qmc"
    points = [design(problem(space, kind)).point(outer).values for outer in range(30)]
    assert all(space.accepts(values) for values in points)
    assert all(values["depth"] * values["learning_rate"] <= 4e-3 for values in points)
    whole = design(problem(space, kind, count=1000))
    assert [whole.point(outer).values for outer in reversed(range(30))] == points[::-1]
    further = design(problem(space, kind)).point(3, attempt=1)
    assert further.values != points[3]
    assert space.accepts(further.values)


def test_the_accepted_points_of_a_sequence_are_those_of_the_sequence():
    """Point k is the k-th point of the unconstrained sequence that satisfies the constraint."""
    free, bound = build(CHECKED), build(CHECKED, expressions=["depth * learning_rate <= 4e-3"])
    sequence = QmcDesign(problem(free, "qmc"))
    every = (sequence.point(outer).values for outer in range(200))
    accepted = [values for values in every if values["depth"] * values["learning_rate"] <= 4e-3]
    walked = QmcDesign(problem(bound, "qmc"))
    assert [walked.point(outer).values for outer in range(len(accepted))] == accepted


def test_a_grid_leaves_out_what_its_checks_refuse():
    """600 widths times 600 batches are too many to enumerate together; few of either are legal."""
    declared = {"width": integers(32, 631), "batch_tokens": integers(256, 855)}
    space = build(declared, expressions=["batch_tokens <= 4 * width"])
    assert len(space.checks) == 1
    design = GridDesign(problem(space, "grid"))
    legal = [(w, b) for w in range(32, 632, 32) for b in (256, 512, 768) if b <= 4 * w]
    points = [design.point(outer) for outer in range(len(legal) + 1)]
    assert points.pop() is None
    assert sorted((point.values["width"], point.values["batch_tokens"]) for point in points) == legal


def test_rare_points_are_found_and_none_at_all_is_refused():
    space = build(CHECKED, expressions=["learning_rate <= 1.02e-4"])
    assert 0 < space.acceptance.rate < 0.02
    assert space.draw(np.random.default_rng(0)).values["learning_rate"] <= 1.02e-4
    texts = ["learning_rate * depth <= 1e-3", "learning_rate / depth >= 2e-3"]
    with pytest.raises(Exception, match=r"none of 16384 points .* together with constraints.expressions.0"):
        build(CHECKED, expressions=texts)
