"""What one training run is told: the proxy trial's config and the full run's, which extends it."""

from pathlib import PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from model.config import MAX_WIDTH, ArchitectureConfig, BlockKind, FrozenConfig, InitScheme
from trainer.distillation.config import DistillationConfig
from trainer.inheritance.config import InheritanceConfig, InheritMethod, LayerMethod
from trainer.rounds.config import RoundLosses, RoundsConfig, RoundSelection

Precision = Literal["auto", "float32", "bfloat16"]
LengthUnit = Literal["tokens", "bytes", "flops"]
Schedule = Literal["cosine", "wsd"]
Compilation = Literal["auto", "off", "on"]
MAX_EVALUATIONS = 1000


def _whole_numbers(value: object) -> object:
    """Refuse a list with anything but whole numbers from 1: a union would blame its first member."""
    if isinstance(value, list | tuple) and not (
        1 <= len(value) <= MAX_EVALUATIONS and all(type(number) is int and number >= 1 for number in value)
    ):
        raise ValueError(
            "annealed_evaluations lists something else than evaluations; "
            f"write true, false or a list of 1 to {MAX_EVALUATIONS} whole numbers from 1"
        )
    return value


AnnealedEvaluations = Annotated[bool | tuple[int, ...], BeforeValidator(_whole_numbers)]


class BuiltinCorpus(FrozenConfig):
    """The source text of the running Python's own standard library: real text that every machine has."""

    kind: Literal["builtin"] = "builtin"


class TextCorpus(FrozenConfig):
    """UTF-8 text: one file, or a folder whose ``*.txt`` files (``.gz`` too) are one document each."""

    kind: Literal["text"]
    path: str


class JsonlCorpus(FrozenConfig):
    """JSON lines (``.gz`` too), one document a line."""

    kind: Literal["jsonl"]
    path: str
    text_field: str = "text"


Corpus = Annotated[BuiltinCorpus | TextCorpus | JsonlCorpus, Field(discriminator="kind")]


class TrainedTokenizer(FrozenConfig):
    """Byte-level BPE, trained on the corpus's training side at each vocabulary size."""

    kind: Literal["trained"] = "trained"


class CompressedTokenizer(FrozenConfig):
    """A large tokenizer, cut to each vocabulary size (F1 of the paper)."""

    kind: Literal["compressed"]
    path: str
    """A SentencePiece BPE ``.model``, a ``tokenizer.json``, a ``vocab.json`` beside ``merges.txt``, tiktoken ranks, or
    a folder with one of them."""
    method: Literal["frequency", "merges"] = "frequency"
    """What stays: the tokens most often formed on the training side, or the first merges."""


TRAINED = TrainedTokenizer()
TokenizerSource = Annotated[TrainedTokenizer | CompressedTokenizer, Field(discriminator="kind")]


class OptimizationConfig(FrozenConfig):
    """AdamW (arXiv 1711.05101) with linear warm-up, and a cosine or a cooldown at the end."""

    learning_rate: Annotated[float, Field(gt=0, le=10)] = 3e-3
    """Peak rate."""
    batch_tokens: Annotated[int, Field(ge=2, le=2**28)] = 4096
    """Tokens in one optimizer step; a multiple of the sequence length."""
    weight_decay: Annotated[float, Field(ge=0, le=10)] = 0.1
    """Decoupled decay of matrices, not of norm gains (PanGu-π Pro, configs/LLM1B.py)."""
    warmup_tokens: Annotated[int, Field(ge=0)] | None = None
    """Tokens of linear warm-up; when left out, ``warmup_ratio`` of the run, at most 100 steps."""
    warmup_ratio: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the run spent in warm-up (assumed: proxies are short; the paper's 50 000-step run uses 0.03)."""
    final_learning_rate_ratio: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Final rate over peak rate (PanGu-π Pro, configs/LLM1B.py: 1e-5 / 1e-4)."""
    schedule: Schedule = "cosine"
    """``wsd`` stays at the peak until its cooldown (arXiv 2404.06395, section 4)."""
    cooldown_ratio: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of a WSD run that is its cooldown (arXiv 2405.18392, section 3: from 0.2 on, a cosine is matched)."""
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.95
    """AdamW's betas (PanGu-π Pro, configs/LLM1B.py)."""
    epsilon: Annotated[float, Field(gt=0)] = 1e-8
    gradient_clip: Annotated[float, Field(gt=0)] = 1.0
    """Largest global norm of the gradient (PanGu-π Pro, configs/LLM1B.py)."""
    z_loss: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Weight of log² Z, the square of the log of the softmax's normaliser, in the loss that is trained
    (arXiv 2204.02311, section 5, which takes 1e-4)."""


class InitializationConfig(FrozenConfig):
    """How the weights start (F3 of the paper)."""

    scheme: InitScheme = "constant"
    std: Annotated[float, Field(gt=0, le=10)] | None = None
    """Standard deviation of the normal draws; when left out, 1 / sqrt(width). Under muP, that at the base width."""

    def std_at(self, width: int) -> float:
        """The deviation in a network of this width; pass the architecture's ``base_width``.

        1 / sqrt(width) keeps the scale of what a layer passes on (LeCun et al. 1998, Efficient BackProp, section 4.6),
        so that networks of different width start alike. At the paper's width of 1792 it is 0.024, near the usual
        0.02; a fixed 0.02 starts narrow networks too small (measured: docs/decisions.md).
        """
        return width**-0.5 if self.std is None else self.std


class TrainingLength(FrozenConfig):
    """How long a run is, in one unit."""

    unit: LengthUnit
    amount: Annotated[float, Field(gt=0)]


class ProxyConfig(FrozenConfig):
    """Everything that determines one proxy run: the same config gives the same losses."""

    architecture: ArchitectureConfig
    optimization: OptimizationConfig = OptimizationConfig()
    initialization: InitializationConfig = InitializationConfig()
    inheritance: InheritanceConfig | None = None
    """The parent whose weights it starts from; drawn as ``initialization`` says where left out."""
    multiple_rounds: RoundsConfig = RoundsConfig()
    distillation: DistillationConfig | None = None
    corpus: Corpus = BuiltinCorpus()
    tokenizer_source: TokenizerSource = TrainedTokenizer()
    """Where the tokenizer comes from."""
    length: TrainingLength
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seeds the initial weights and the order of the data."""
    precision: Precision = "auto"
    """``auto`` takes bfloat16 where the machine multiplies it faster."""
    evaluations: Annotated[int, Field(ge=1, le=MAX_EVALUATIONS)] = 4
    """Evaluations in the run, evenly spaced; the last one is at its end."""
    annealed_evaluations: AnnealedEvaluations = False
    """Whether each evaluation is that of a run which ends there: a cooldown leaves the trunk, is evaluated and
    forgotten. Needs the schedule ``wsd``. Numbers, counted from 1, name the evaluations that are made before the last
    one; the others are left out."""
    compilation: Compilation = "auto"
    """Whether the step is compiled (``torch.compile``); ``auto`` does so on a GPU."""
    validation_bytes: Annotated[int, Field(ge=1000, le=2**32)] = 100_000
    """Size of the fixed set of bytes on which bits per byte is measured."""
    micro_batch_tokens: Annotated[int, Field(ge=2)] = 16_384
    """Largest forward pass; a bigger batch is accumulated."""
    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    """CPU threads of the run."""
    gpu_share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of one GPU's memory that the run may fill; not read on a CPU."""
    keep_weights: bool = False
    """Whether a proxy that has ended leaves its weights in storage, for others to inherit or learn from."""

    @model_validator(mode="after")
    def _check_schedule(self) -> Self:
        if self.annealed_evaluations and self.optimization.schedule != "wsd":
            raise ValueError("a cosine has no trunk for annealed_evaluations to leave; set schedule: wsd")
        return self

    @model_validator(mode="after")
    def _check_evaluations(self) -> Self:
        evaluation_numbers(self.evaluations, self.annealed_evaluations)
        return self

    @model_validator(mode="after")
    def _check_rounds(self) -> Self:
        if self.annealed_evaluations and (self.multiple_rounds.rounds > 1 or self.multiple_rounds.measures_forgetting):
            raise ValueError(
                "annealed_evaluations end shorter runs, whose rounds and parts would be others than those of the trunk "
                "that they leave; set annealed_evaluations: false, or rounds: 1 and forgetting: false"
            )
        return self

    @model_validator(mode="after")
    def _check_parametrisation(self) -> Self:
        if (self.initialization.scheme == "mup") != (self.architecture.parametrisation == "mup"):
            raise ValueError("initialization.scheme mup and architecture.mup_base_width go together; give both or none")
        return self


class PretrainConfig(ProxyConfig):
    """A full run: a proxy's config with a tokenizer of its own and checkpoints."""

    tokenizer: str = "tokenizer.json"
    """Path of the tokenizer that ``tokenizer_source`` gave, relative to the export's folder."""
    initial_weights: str | None = None
    """Path of a safetensors file, relative to the export's folder; drawn from the seed when left out."""
    checkpoint_every_steps: Annotated[int, Field(ge=1)] = 500

    @field_validator("keep_weights")
    @classmethod
    def _keeps_them_anyway(cls, value: bool) -> bool:
        if value:
            raise ValueError("a full run leaves its network in trained/ anyway; leave keep_weights out")
        return value

    @model_validator(mode="after")
    def _starts_from_one(self) -> Self:
        if self.inheritance is not None and self.initial_weights is not None:
            raise ValueError("inheritance and initial_weights both say what the weights start from; give one of them")
        return self

    @field_validator("tokenizer", "initial_weights")
    @classmethod
    def _inside_the_folder(cls, value: str | None) -> str | None:
        if value is not None and (PurePosixPath(value).is_absolute() or ".." in PurePosixPath(value).parts):
            raise ValueError(f"{value!r} leaves the export's folder; give a path inside it")
        return value


def evaluation_numbers(evaluations: int, annealed: AnnealedEvaluations) -> tuple[int, ...]:
    """The evaluations that a run makes, counted from 1, ascending; the last one is at its end.

    Raises:
        ValueError: the listed ones are not in that order, or reach beyond the run.
    """
    if isinstance(annealed, bool):
        return tuple(range(1, evaluations + 1))
    made = (*(number for number in annealed if number != evaluations), evaluations)
    if list(made) != sorted(set(made)):
        raise ValueError(
            f"annealed_evaluations lists evaluations of a run of {evaluations} out of order, twice or beyond its end; "
            f"list ascending numbers below {evaluations}"
        )
    return made


LARGEST_NUMBER = 10**308
"""(derived) Whole numbers below it can be compared and shown as floats."""


class ProxySettings(FrozenConfig):
    """The ``proxy`` section of a study spec: what every trial shares, unless the space varies it.

    Exactly one of ``train_tokens``, ``train_bytes`` and ``train_flops`` gives the length. Vocabularies are
    compared at equal bytes or FLOPs.
    """

    corpus: Corpus = BuiltinCorpus()
    tokenizer: TokenizerSource = TrainedTokenizer()
    train_tokens: Annotated[int, Field(gt=0, lt=LARGEST_NUMBER)] | None = None
    train_bytes: Annotated[int, Field(gt=0, lt=LARGEST_NUMBER)] | None = None
    train_flops: Annotated[float, Field(gt=0)] | None = None
    sequence_length: int = 256
    block: BlockKind = "llama"
    depth: int = 4
    width: int = 128
    vocabulary_size: int = 1024
    ffn_ratio: Annotated[float, Field(gt=0, le=64)] = 8 / 3
    """FFN width / width (PanGu-π Pro, configs/LLM1B.py)."""
    head_dim: int = 32
    kv_heads: int | None = None
    tied_head: bool = True
    mask_documents: bool = False
    """Whether a token attends to its own document only."""
    qk_norm: bool = False
    """Whether queries and keys are normed, each head by itself."""
    rope_theta: Annotated[float, Field(gt=0)] = 10_000.0
    """Base of the rotary frequencies, for parents that have another (Qwen3: 10⁶)."""
    learning_rate: float = 3e-3
    batch_tokens: int = 4096
    weight_decay: float = 0.1
    warmup_tokens: int | None = None
    warmup_ratio: float = 0.1
    final_learning_rate_ratio: float = 0.1
    schedule: Schedule = "cosine"
    cooldown_ratio: float = 0.2
    z_loss: float = 0.0
    """Weight of log² Z in the loss."""
    init_scheme: InitScheme = "constant"
    init_std: float | None = None
    """Standard deviation of the initial weights; when left out, 1 / sqrt(width). Under muP, that at the base width."""
    mup_base_width: Annotated[int, Field(ge=2, le=MAX_WIDTH)] = 128
    """Width at which muP equals the standard parametrisation; read under ``init_scheme: mup`` only (assumed: the
    default ``width``, so that the default network is the same under both)."""
    seed: int = 0
    precision: Precision = "auto"
    rounds: int = 1
    sampling_rate: float = 0.5
    parts: int = 8
    round_selection: RoundSelection = "loss"
    round_losses: RoundLosses = "during"
    forgetting: bool | None = None
    """Whether evaluations measure the loss on earlier parts, too; when left out, trials of several rounds do, and all
    trials of a study that varies a parameter of rounds."""
    evaluations: int = 4
    annealed_evaluations: AnnealedEvaluations = False
    compilation: Compilation = "auto"
    validation_bytes: int = 100_000
    keep_weights: bool = False
    """Whether trials leave their weights in storage, for others to inherit or learn from."""

    @property
    def inherit_method(self) -> InheritMethod:
        """How trials inherit, unless the space varies it; ``none`` where there is no parent."""
        return "none"

    @property
    def inherit_layers(self) -> LayerMethod:
        """How trials choose the parent's layers, unless the space varies it."""
        return "importance"


class TrialSettings(ProxySettings):
    """What every trial of a study shares: its ``proxy`` section, and the parent and the teacher beside it."""

    inherit: InheritanceConfig | None = None
    teacher: DistillationConfig | None = None

    @property
    def inherit_method(self) -> InheritMethod:
        """See :class:`ProxySettings`."""
        return "none" if self.inherit is None else self.inherit.neurons

    @property
    def inherit_layers(self) -> LayerMethod:
        """See :class:`ProxySettings`."""
        return "importance" if self.inherit is None else self.inherit.layers
