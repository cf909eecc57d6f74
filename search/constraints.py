"""The constraints of a search space, as a user writes them: one budget that is solved, limits, expressions."""

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from model.config import MAX_DEPTH, MAX_SEQUENCE_LENGTH, MAX_VOCABULARY_SIZE, MAX_WIDTH, FrozenConfig

SolvedName = Literal["width", "depth", "ffn_ratio", "vocabulary_size"]

DEFAULT_RANGES: dict[SolvedName, tuple[float, float]] = {
    "width": (2, MAX_WIDTH),
    "depth": (1, 128),
    "ffn_ratio": (0.5, 8.0),
    "vocabulary_size": (512, 65_536),
}
"""Values that a solved parameter may take when its ``range`` does not say (assumed: every width; far more blocks than a
tiny network has; half and twice the paper's ratios of 1 to 4; vocabularies from a proxy's to a large tokenizer's)."""
LARGEST: dict[SolvedName, float] = {
    "width": MAX_WIDTH,
    "depth": MAX_DEPTH,
    "ffn_ratio": 64,
    "vocabulary_size": MAX_VOCABULARY_SIZE,
}
SMALLEST: dict[SolvedName, float] = {"width": 2, "depth": 1, "ffn_ratio": 0.0, "vocabulary_size": 257}
"""The bounds that these parameters have everywhere: 257 is a vocabulary of bytes and the end of text."""
DEFAULT_STEPS = {"depth": 1, "vocabulary_size": 64}
"""Distances between the values of a solved parameter (assumed: multiples of 64 keep the head's matrix even)."""

MAX_EXPRESSIONS = 20
MAX_EXPRESSION_LENGTH = 500
"""Expressions, and characters of one (assumed: a constraint is a line)."""


class SolvedRange(FrozenConfig):
    """Which values a solved parameter may take; what is left out has the defaults of docs/spec.md."""

    low: Annotated[float, Field(ge=0)] | None = None
    high: Annotated[float, Field(gt=0)] | None = None
    step: Annotated[int, Field(ge=1, le=MAX_VOCABULARY_SIZE)] | None = None
    """Distance between values: those of depth and vocabulary_size only are multiples of it."""


class Budget(FrozenConfig):
    """A quantity that every point has the same amount of, within ``tolerance``, by solving for one parameter."""

    target: Annotated[float, Field(gt=0, le=1e30)]
    tolerance: Annotated[float, Field(gt=0, le=0.5)] = 0.03
    """Largest relative distance from the target."""
    solve_for: SolvedName = "width"
    range: SolvedRange = SolvedRange()
    """Values that the solved parameter may take."""

    @property
    def bounds(self) -> tuple[float, float]:
        """Smallest and largest value of the solved parameter."""
        low, high = DEFAULT_RANGES[self.solve_for]
        return (
            low if self.range.low is None else self.range.low,
            high if self.range.high is None else self.range.high,
        )

    @property
    def step(self) -> int:
        """Distance between the values of the solved parameter; 1 where the network decides it."""
        return self.range.step or DEFAULT_STEPS.get(self.solve_for, 1)

    @model_validator(mode="after")
    def _check_range(self) -> Self:
        low, high = self.bounds
        name, least, most = self.solve_for, SMALLEST[self.solve_for], LARGEST[self.solve_for]
        if self.range.step is not None and name not in DEFAULT_STEPS:
            reason = "in whole heads" if name == "width" else "as the FFN width allows"
            raise ValueError(f"range has a step, and {name} is solved {reason}; leave step out")
        if low > high:
            raise ValueError(f"range holds no {name}: low {low:g} is greater than high {high:g}; change one of them")
        if low < least or high > most:
            raise ValueError(f"range leaves the bounds of {name}; stay between {least:g} and {most:g}")
        if name != "ffn_ratio" and not (float(low).is_integer() and float(high).is_integer()):
            raise ValueError(f"range of {name} is not in whole numbers; write whole numbers")
        return self


class Limit(FrozenConfig):
    """Bounds of a quantity; what lies outside of them is left out of the space."""

    low: Annotated[float, Field(ge=0, le=1e30)] | None = None
    high: Annotated[float, Field(ge=0, le=1e30)] | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.low is None and self.high is None:
            raise ValueError("has neither a target nor low or high; give one")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"low {self.low:g} is greater than high {self.high:g}; swap them")
        return self


class TotalParameters(Budget):
    """An equal budget of parameters."""

    target: Annotated[int, Field(ge=1, le=10**13)]


class Decoding(FrozenConfig):
    """How a network is decoded: one sequence, its keys and values kept."""

    context: Annotated[int, Field(ge=1, le=MAX_SEQUENCE_LENGTH)] | None = None
    """Positions whose keys and values are kept; ``proxy.sequence_length`` when left out."""
    bytes_per_parameter: Annotated[float, Field(gt=0, le=16)] = 2
    """Bytes of a weight (assumed: bfloat16)."""
    bytes_per_cached_value: Annotated[float, Field(gt=0, le=16)] = 2
    """Bytes of a number of a kept key or value (assumed: bfloat16)."""


class Roofline(Decoding):
    """A device on which decoding waits for memory: arXiv 2211.05102, section 2, at batch 1."""

    bytes_per_second: Annotated[float, Field(gt=0, le=1e18)] = 5e10
    """Bandwidth of the memory that holds the weights (assumed: two channels of DDR4-3200, 51 GB/s, as laptops and
    small servers have them)."""
    seconds_per_block: Annotated[float, Field(ge=0, le=1)] = 1e-4
    """Time that a block costs beside its bytes, e.g. that of starting its kernels (assumed)."""


class MemoryBudget(Budget, Decoding):
    """An equal budget of bytes while decoding."""


class MemoryLimit(Limit, Decoding):
    """Bounds of the bytes while decoding."""


class LatencyBudget(Budget, Roofline):
    """An equal budget of seconds to decode a token."""


class LatencyLimit(Limit, Roofline):
    """Bounds of the seconds to decode a token."""


class ShareLimit(FrozenConfig):
    """Bounds of the share of parameters in the vocabulary tables (PEHL of the paper, F1)."""

    low: Annotated[float, Field(ge=0, le=1)] | None = None
    high: Annotated[float, Field(ge=0, le=1)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _refuse_target(cls, data: Any) -> Any:
        if isinstance(data, dict) and "target" in data:
            raise ValueError("target cannot be solved for an embedding_share; give low or high")
        return data

    @model_validator(mode="after")
    def _check(self) -> Self:
        Limit(low=self.low, high=self.high)
        return self


def _kind(value: Any) -> str:
    """Which of the two a mapping is: only a budget has a target, or says how it is met."""
    written = value if isinstance(value, dict) else getattr(value, "__dict__", {})
    return "budget" if {"target", "tolerance", "solve_for", "range"} & set(written) else "limit"


_KIND = Discriminator(_kind)
ParameterConstraint = Annotated[Annotated[TotalParameters, Tag("budget")] | Annotated[Limit, Tag("limit")], _KIND]
FlopsConstraint = Annotated[Annotated[Budget, Tag("budget")] | Annotated[Limit, Tag("limit")], _KIND]
LatencyConstraint = Annotated[Annotated[LatencyBudget, Tag("budget")] | Annotated[LatencyLimit, Tag("limit")], _KIND]
MemoryConstraint = Annotated[Annotated[MemoryBudget, Tag("budget")] | Annotated[MemoryLimit, Tag("limit")], _KIND]
QuantityConstraint = Budget | Limit | LatencyBudget | LatencyLimit | MemoryBudget | MemoryLimit | ShareLimit
Expression = Annotated[str, Field(min_length=1, max_length=MAX_EXPRESSION_LENGTH)]


class Constraints(FrozenConfig):
    """What every point of the space must satisfy. At most one quantity has a target, which is solved."""

    total_parameters: ParameterConstraint | None = None
    non_embedding_parameters: ParameterConstraint | None = None
    train_flops: FlopsConstraint | None = None
    """FLOPs of a run of ``proxy.train_tokens``."""
    decode_latency: LatencyConstraint | None = None
    """Seconds a token."""
    memory: MemoryConstraint | None = None
    """Bytes."""
    embedding_share: ShareLimit | None = None
    expressions: Annotated[tuple[Expression, ...], Field(max_length=MAX_EXPRESSIONS)] = ()

    @property
    def quantities(self) -> dict[str, QuantityConstraint]:
        """What is said of each quantity."""
        said = {name: getattr(self, name) for name in type(self).model_fields if name != "expressions"}
        return {name: constraint for name, constraint in said.items() if constraint is not None}

    @property
    def solved(self) -> tuple[str, Budget] | None:
        """The quantity that is solved, and its budget."""
        return next(((name, said) for name, said in self.quantities.items() if isinstance(said, Budget)), None)

    @model_validator(mode="after")
    def _check_one_budget(self) -> Self:
        first, *others = [name for name, said in self.quantities.items() if isinstance(said, Budget)] or [""]
        if others:
            raise ValueError(
                f"{others[0]} has a target, and {first} has one too; one parameter solves one of them: give the other "
                "low or high"
            )
        return self
