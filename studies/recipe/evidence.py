"""What a recipe says beside its values: ranges, what being wrong costs, risks, predictions."""

from typing import Annotated

from pydantic import Field

from model.config import FrozenConfig

Leaf = bool | int | float | str | None


class FieldRange(FrozenConfig):
    """Between which values a field may lie; both ends are null where that is not known."""

    low: float | None
    high: float | None
    basis: str
    """What the range is, or why there is none."""

    @property
    def known(self) -> bool:
        """Whether an end is known."""
        return self.low is not None or self.high is not None


class RegretPoint(FrozenConfig):
    """What one value costs against the recommended one."""

    value: Leaf
    excess: float
    """In units of the objective, worse being positive."""
    low: float
    high: float
    """Ends of its 95 % interval."""


class RegretCurve(FrozenConfig):
    """What being wrong about one field costs, or why that is not known."""

    name: str
    """The field."""
    recommended: Leaf
    metric: str
    points: tuple[RegretPoint, ...] = ()
    """Ascending in their values; empty where the cost is not known."""
    basis: str
    """What the curve was read off, or why there is none."""


class DivergenceRisk(FrozenConfig):
    """How often runs diverged whose rate lay near the best one of their size and batch, as the recommended one does."""

    learning_rate: float
    window: float
    """Runs count whose rate lies within this factor of the one that stands for the recommended one."""
    runs: int
    diverged: int
    share: float | None
    """Of the runs; null where no run lay near enough."""
    low: float
    high: float
    """Ends of the interval of the share (Wilson 1927)."""
    level: Annotated[float, Field(gt=0, lt=1)] = 0.95
    nearest_diverged: float | None
    """Lowest rate that diverged, over the best one of its size and batch; null where none did."""
    highest_stable: float | None
    """Highest rate that did not diverge, over the best one of its size and batch."""
    note: str
    """What stands for the recommended rate, and how far the runs lie from the target."""


class LawBeside(FrozenConfig):
    """What one law gives at the target."""

    name: str
    learning_rate: float | None
    """Best peak rate at ``batch_tokens``; null where the law does not say."""
    batch_tokens: float | None
    """The batch for which the rate is given."""
    best_batch: float | None
    """The batch that the law itself calls the best; null where it does not say."""
    source: str
    note: str


class Prediction(FrozenConfig):
    """What the run takes; what the target does not allow to say is null."""

    total_parameters: int
    non_embedding_parameters: int
    embedding_share: float
    steps: int
    train_flops: float
    """Forward and backward passes over all tokens (``model.counts.training_flops_per_token``)."""
    gpus: int | None
    memory_bytes: float | None
    """Peak of one GPU, its share of weights and optimizer included."""
    memory_limit_bytes: float | None
    """What one GPU can give."""
    memory_basis: str
    mfu: tuple[float, float] | None
    """Model FLOPs utilisation, low and high."""
    mfu_basis: str
    days: tuple[float, float] | None
    """At the high and at the low utilisation."""


class Expectation(FrozenConfig):
    """What a scaling law says of the target."""

    metric: str
    estimate: float
    """The objective at the end of the run."""
    low: float
    high: float
    """Ends of its 95 % interval."""
    optimal_parameters: float | None
    optimal_tokens: float | None
    """Size and length at which 6·N·D FLOPs of the target give the lowest loss; null where the law does not say."""
    basis: str


class DataUse(FrozenConfig):
    """The corpus against the run's length."""

    unique_tokens: float | None
    """Tokens of the training side under the recipe's tokenizer, about; null where no trial says."""
    epochs: float | None
    effective_tokens: float | None
    """Unique tokens that would serve as well as the repeated ones (arXiv 2305.16264, equation 5)."""
    fingerprint: str | None
    """Of the corpus."""
    basis: str


class StartPlan(FrozenConfig):
    """What the weights start from, where it is a parent."""

    parent: str
    """As it was named."""
    parent_parameters: int
    parent_depth: int
    depth: int
    """Layers that are kept."""
    layers: str
    neurons: str
    """How layers, and how channels and heads, are chosen (``trainer.inheritance.config``)."""
    calibration_bytes: int
    flops: float
    """What choosing them takes, about."""
    parent_train_flops: float | None
    """What training the parent took, where that is known; it is in no sum here."""
    basis: str


class RoundPlan(FrozenConfig):
    """One round over the data."""

    number: int
    """Counted from 1."""
    share: float
    """Of the run's steps."""
    tokens: int | None
    """Null where the length is not given in tokens."""
    reads: str
    """What it reads, in words."""


class TeacherPlan(FrozenConfig):
    """From whom the run learns beside the text."""

    teacher: str
    """As it was named."""
    teacher_parameters: int
    weight: float
    temperature: float
    flops_per_token: float
    """What its predictions take, beside those of training the network."""


class TrainingPlan(FrozenConfig):
    """What the run starts from, in which rounds it reads its text, and from whom it learns."""

    start: StartPlan | None
    """Null where the weights are drawn."""
    rounds: tuple[RoundPlan, ...]
    """One where the data are read once."""
    teacher: TeacherPlan | None
    tokens: int | None
    """Training tokens of all rounds together; null where the length is not given in tokens."""
    total_tokens: float | None
    """The same, and for what inheriting and the teacher take the tokens whose training takes as many FLOPs."""
