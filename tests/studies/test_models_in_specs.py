"""What a spec says about parents, teachers, kept weights and rounds, beyond single fields (tests/bad_specs.yaml)."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.config import ArchitectureConfig
from model.errors import InvalidInput
from search.proxy import architecture_config, proxy_config
from search.space.summary import looked_at
from studies.spec import StudySpec, build_space
from studies.specs.model_checks import check_parent
from studies.specs.parsing import parse_spec
from studies.specs.warnings import spec_warnings

PARENT = {"parent": {"kind": "trial", "study": 3, "trial": 5}}
TEACHER = {"model": {"kind": "trial", "study": 3, "trial": 5}}
LARGE = ArchitectureConfig(vocabulary_size=512, depth=8, width=128, ffn_width=344, head_dim=32, kv_heads=4)


def document(**changes: Any) -> dict[str, Any]:
    proxy = {"train_tokens": 100_000, "vocabulary_size": 512, **changes.pop("proxy", {})}
    return {"name": "models", "proxy": proxy, "max_trial_count": 8, **changes}


def categorical(*choices: Any) -> dict[str, Any]:
    return {"type": "categorical", "choices": choices}


def refusal(**changes: Any) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        parse_spec(document(**changes))
    return caught.value


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"inherit": PARENT, "execution": "external"}, "inherit", "execution: ray"),
        ({"teacher": TEACHER, "execution": "external"}, "teacher", "trained elsewhere"),
        ({"proxy": {"keep_weights": True}, "execution": "external"}, "proxy.keep_weights", "trained elsewhere"),
        ({"inherit": PARENT, "proxy": {"init_scheme": "mup"}}, "proxy.init_scheme", "muP's multipliers"),
        ({"inherit": PARENT, "inner": {"init_scheme": ["constant", "mup"]}}, "inner.init_scheme", "is mup"),
        ({"inherit": PARENT, "space": {"block": categorical("llama", "pangu_pi")}}, "space.block", "is pangu_pi"),
        ({"proxy": {"keep_weights": True, "block": "pangu_pi"}}, "proxy.block", "transformers folder"),
        (
            {"proxy": {"keep_weights": True, "depth": 40, "width": 2048}, "max_trial_count": 50},
            "proxy.keep_weights",
            "GiB of weights, and a study keeps at most 64 GiB; give a max_trial_count of at most",
        ),
        (
            {
                "proxy": {"rounds": 2, "evaluations": 9},
                "purpose": "optimise",
                "scheduler": {"kind": "asha"},
                "space": {"depth": categorical(1, 2)},
            },
            "proxy.rounds",
            "use scheduler none",
        ),
        (
            {
                "inner": {"rounds": [1, 2]},
                "proxy": {"evaluations": 9},
                "purpose": "optimise",
                "scheduler": {"kind": "curve"},
                "space": {"depth": categorical(1, 2)},
            },
            "inner.rounds",
            "curve compares annealed losses",
        ),
        (
            {"proxy": {"rounds": 2, "schedule": "wsd", "annealed_evaluations": True}},
            "proxy.annealed_evaluations",
            "write false, or rounds: 1",
        ),
        ({"proxy": {"rounds": 2, "parts": 1000}}, "proxy.parts", "a first round of "),
        ({"proxy": {"rounds": 10, "sampling_rate": 0.01}}, "proxy.rounds", "give fewer rounds"),
        ({"inner": {"rounds": [1, 2], "parts": [900, 1000]}}, "inner.parts", "has no 900 parts"),
        ({"conditions": {"sampling_rate": {"rounds": [2]}}}, "conditions.sampling_rate", ""),
    ],
)
def test_what_contradicts_itself_is_refused(changes: dict[str, Any], field: str, said: str) -> None:
    error = refusal(**changes)
    assert error.field == field
    assert said in str(error)
    assert error.remedy


def trials(spec: StudySpec) -> list[dict[str, Any]]:
    space = build_space(spec)
    points = [space.grid_point(index) for index in range(space.size or 0)]
    return [
        dict(space.trial(point.values, inner).values) for point in points for inner in range(len(space.inner_points))
    ]


def test_rounds_of_which_some_fit_are_no_errors_of_the_spec() -> None:
    assert parse_spec(document(inner={"rounds": [2, 10], "parts": [8, 1000], "sampling_rate": [0.01, 0.5]}))
    assert parse_spec(document(proxy={"rounds": 1, "parts": 1000}))
    assert parse_spec(
        document(proxy={"rounds": 2, "parts": 200, "sequence_length": 64}, inner={"batch_tokens": [64, 4096]})
    )


def test_later_rounds_have_their_parameters_by_condition() -> None:
    spec = parse_spec(
        document(
            space={
                "rounds": categorical(1, 2, 3),
                "sampling_rate": categorical(0.25, 0.5),
                "round_selection": categorical("loss", "uniform"),
            },
            conditions={"sampling_rate": {"rounds": [2, 3]}, "round_selection": {"rounds": [2, 3]}},
        )
    )
    found = trials(spec)
    assert len(found) == 1 + 2 * 2 * 2
    assert [set(values) for values in found if values["rounds"] == 1] == [{"rounds"}]
    assert all({"sampling_rate", "round_selection"} <= set(values) for values in found if values["rounds"] > 1)
    assert not [warning for warning in spec_warnings(spec) if "round" in warning]


def test_what_one_round_does_not_read_is_warned_about() -> None:
    unread = parse_spec(document(proxy={"sampling_rate": 0.25, "parts": 4}))
    assert {warning.split(":")[0] for warning in spec_warnings(unread)} >= {"proxy.sampling_rate", "proxy.parts"}
    repeated = parse_spec(document(inner={"rounds": [1, 2], "sampling_rate": [0.25, 0.5]}))
    (warning,) = [warning for warning in spec_warnings(repeated) if "round" in warning]
    assert warning.startswith("inner.sampling_rate: trials of one round are trained once for each of its values")
    assert "conditions: {sampling_rate: {rounds: [2, …]}}" in warning


def test_a_trial_is_told_how_it_inherits_and_from_whom_it_learns() -> None:
    spec = parse_spec(
        document(
            inherit={**PARENT, "layers": "uniform", "mask_steps": 7},
            teacher={**TEACHER, "weight": 0.25},
            space={"inherit_method": categorical("none", "l1")},
            inner={"inherit_layers": ["importance", "first"]},
        )
    )
    space = build_space(spec)
    configs = []
    for index in range(2):
        for inner in range(2):
            trial = space.trial(space.grid_point(index).values, inner)
            configs.append(proxy_config(spec.trial_settings, trial.values, trial.attributes, threads=1))
    inherited = [config.inheritance for config in configs]
    assert inherited[:2] == [None, None]
    assert [(each.neurons, each.layers, each.mask_steps) for each in inherited[2:] if each is not None] == [
        ("l1", "importance", 7),
        ("l1", "first", 7),
    ]
    assert {config.distillation and config.distillation.weight for config in configs} == {0.25}


def test_what_every_trial_inherits_is_read_where_nothing_varies_it() -> None:
    spec = parse_spec(document(inherit={**PARENT, "neurons": "l2"}))
    space = build_space(spec)
    trial = space.trial(space.grid_point(0).values, 0)
    inheritance = proxy_config(spec.trial_settings, trial.values, trial.attributes, threads=1).inheritance
    assert inheritance is not None
    assert (inheritance.neurons, inheritance.layers) == ("l2", "importance")


@pytest.mark.parametrize("scheme", ["constant", "gpt2", "internlm", "mup"])
def test_initialisations_are_compared_with_their_deviations(scheme: str) -> None:
    spec = parse_spec(
        document(
            space={
                "init_scheme": categorical("constant", "gpt2", "internlm", "mup"),
                "init_std": categorical(0.02, 0.1),
            },
            conditions={"init_std": {"init_scheme": ["constant", "gpt2", "internlm"]}},
            proxy={"mup_base_width": 64},
        )
    )
    space = build_space(spec)
    found = [values for values in trials(spec) if values["init_scheme"] == scheme]
    assert [values.get("init_std") for values in found] == ([None] if scheme == "mup" else [0.02, 0.1])
    trial = space.trial(space.point({"init_scheme": 0.99, "init_std": 0.5}).values, 0)
    config = proxy_config(spec.trial_settings, trial.values, trial.attributes, threads=1)
    assert (config.initialization.scheme, config.architecture.mup_base_width) == ("mup", 64)


@settings(max_examples=60)
@given(
    high=st.integers(1, 12),
    widths=st.lists(st.sampled_from([32, 64, 96, 128, 256]), min_size=1, max_size=3, unique=True),
    ratio=st.floats(0.5, 6),
    solved=st.booleans(),
)
def test_no_network_of_an_accepted_space_is_larger_than_the_parent(
    high: int, widths: list[int], ratio: float, solved: bool
) -> None:
    """Every point of these small spaces is looked at; what is refused names a field that the spec has."""
    space: dict[str, Any] = {"depth": {"type": "int", "low": 1, "high": high}}
    if solved:
        changes: dict[str, Any] = {"constraints": {"total_parameters": {"target": 300_000, "tolerance": 0.2}}}
    else:
        changes, space = {}, {**space, "width": categorical(*widths)}
    spec = parse_spec(document(inherit=PARENT, space=space, proxy={"ffn_ratio": ratio}, **changes))
    built = build_space(spec)
    refused = None
    try:
        check_parent(spec, built, LARGE)
    except InvalidInput as error:
        refused = error
    if refused is not None:
        assert refused.field in ("space.depth", "space.width", "inherit.parent")
        return
    for point in looked_at(built):
        network = architecture_config(spec.trial_settings, point.values, point.attributes)
        assert network.depth <= LARGE.depth
        assert network.width <= LARGE.width
        assert network.ffn_width <= LARGE.ffn_width
