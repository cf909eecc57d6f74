"""Points that users give."""

import pytest

from model.errors import InvalidInput
from search.constraints import Constraints, TotalParameters
from search.given import given_point
from search.parameters import CategoricalParameter, FloatParameter, IntParameter
from search.space import Space
from trainer.config import ProxySettings

SPACE = Space.build(
    {
        "depth": IntParameter(type="int", low=2, high=12, step=2),
        "vocabulary_size": CategoricalParameter(type="categorical", choices=(512, 2048)),
        "weight_decay": FloatParameter(type="float", low=0.0, high=0.3, step=0.1),
        "learning_rate": FloatParameter(type="float", low=1e-3, high=1e-1, log=True),
    },
    {"seed": (0, 1)},
    Constraints(total_parameters=TotalParameters(target=1_000_000)),
    ProxySettings(train_bytes=1000),
)
GIVEN = {"depth": 4, "vocabulary_size": 512, "weight_decay": 0.1, "learning_rate": 0.003}


def test_a_point_keeps_its_values_and_is_solved() -> None:
    point = given_point(SPACE, GIVEN, "point")
    assert {name: point.values[name] for name in GIVEN} == GIVEN
    assert abs(point.attributes["total_parameters"] / 1_000_000 - 1) <= 0.03
    assert given_point(SPACE, {**GIVEN, "width": point.values["width"]}, "point") == point
    assert given_point(SPACE, {**GIVEN, "weight_decay": 0}, "point").values["weight_decay"] == 0.0


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        ({"depth": 3}, "point.depth", "the nearest one is"),
        ({"depth": 14}, "point.depth", "outside of 2 to 12"),
        ({"depth": 4.0}, "point.depth", "not a whole number"),
        ({"depth": True}, "point.depth", "not a whole number"),
        ({"depth": "4"}, "point.depth", "without quotes"),
        ({"depth": 10**400}, "point.depth", "outside"),
        ({"vocabulary_size": 1024}, "point.vocabulary_size", "give one of 512, 2048"),
        ({"vocabulary_size": [512]}, "point.vocabulary_size", "none of the choices"),
        ({"weight_decay": 0.15}, "point.weight_decay", "between the steps"),
        ({"learning_rate": float("nan")}, "point.learning_rate", "outside"),
        ({"learning_rate": None}, "point.learning_rate", "not a number"),
        ({"width": 32}, "point.width", "which the other values determine; leave it out"),
        ({"seed": 1}, "point.seed", "in inner"),
        ({"dpeth": 4}, "point.dpeth", "did you mean depth?"),
        ({"": 4}, "point.", "is not in the space"),
    ],
)
def test_a_point_outside_of_the_space_is_refused(change: dict[str, object], field: str, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        given_point(SPACE, {**GIVEN, **change}, "point")
    assert caught.value.field == field
    assert said in str(caught.value)


def test_a_point_must_be_whole() -> None:
    with pytest.raises(InvalidInput) as caught:
        given_point(SPACE, {"depth": 4}, "start.points.1")
    assert (caught.value.field, caught.value.reason) == ("start.points.1.vocabulary_size", "is missing")


def test_a_point_without_a_legal_network_is_refused() -> None:
    space = Space.build(
        {
            "depth": IntParameter(type="int", low=1, high=64),
            "vocabulary_size": CategoricalParameter(type="categorical", choices=(512, 16384)),
        },
        {},
        Constraints(total_parameters=TotalParameters(target=300_000)),
        ProxySettings(train_bytes=1000, head_dim=16),
    )
    with pytest.raises(InvalidInput) as caught:
        given_point(space, {"depth": 64, "vocabulary_size": 16384}, "point")
    assert caught.value.field == "point"
    assert "no network or batch is legal" in str(caught.value)


def test_only_parameters_that_exist_are_given() -> None:
    space = Space.build(
        {
            "block": CategoricalParameter(type="categorical", choices=("llama", "pangu_pi")),
            "depth": IntParameter(type="int", low=2, high=12),
            "weight_decay": FloatParameter(type="float", low=0.0, high=0.3),
        },
        {},
        Constraints(),
        ProxySettings(train_bytes=1000),
        {"weight_decay": {"block": ["pangu_pi"]}},
    )
    assert "weight_decay" not in given_point(space, {"block": "llama", "depth": 4}, "point").values
    whole = {"block": "pangu_pi", "depth": 4, "weight_decay": 0.1}
    assert given_point(space, whole, "point").values == whole
    for values, said in (
        ({**whole, "block": "llama"}, "point.weight_decay: does not exist where its parents have these values"),
        ({"block": "pangu_pi", "depth": 4}, "point.weight_decay: is missing"),
    ):
        with pytest.raises(InvalidInput, match=said):
            given_point(space, values, "point")


def test_a_constraint_that_is_only_checked_holds_for_given_points_too() -> None:
    space = checked_space()
    with pytest.raises(InvalidInput, match="or a constraint excludes them"):
        given_point(space, {"learning_rate": 0.09, "weight_decay": 0.29}, "point")
    assert given_point(space, {"learning_rate": 0.002, "weight_decay": 0.1}, "point").values["weight_decay"] == 0.1


def checked_space() -> Space:
    """A space whose constraint ties two continuous parameters, so that it is checked point by point."""
    return Space.build(
        {
            "learning_rate": FloatParameter(type="float", low=1e-3, high=1e-1, log=True),
            "weight_decay": FloatParameter(type="float", low=0.0, high=0.3),
        },
        {},
        Constraints(expressions=("learning_rate * weight_decay <= 0.002",)),
        ProxySettings(train_bytes=1000),
    )
