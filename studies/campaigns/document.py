"""What a campaign is: its stages in order, what each adopts, and the rungs of its ladder."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from model.config import FrozenConfig

MAX_STAGES = 20
MAX_LADDER_SEEDS = 100
MAX_RUNG = 60
"""Characters of a rung's label."""
BASELINE = "baseline"
"""Label of the first rung: the baseline, with nothing adopted."""
StageName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")]


class StageModel(FrozenConfig):
    """A parent or a teacher that an earlier stage trains: the winner of that stage, whose study keeps its weights."""

    kind: Literal["stage"]
    stage: StageName


class Stage(FrozenConfig):
    """One study. What the stages before adopted is put into its ``proxy`` section, unless it says that itself.

    A model of ``inherit`` or ``teacher`` may be a :class:`StageModel`.
    """

    name: StageName
    study: dict[str, Any]
    """A study's spec. What it leaves out of ``proxy``, and of what else the baseline has, is the baseline's."""
    adopt: Annotated[tuple[Annotated[str, Field(max_length=50)], ...], Field(max_length=50)] = ()
    """What of the winner the later stages and rungs take: parameters that the study varies, solves or sets, or its
    sections ``inherit`` and ``teacher``. Of the network all is taken, or nothing."""
    rung: Annotated[str, Field(min_length=1, max_length=MAX_RUNG)] | None = None
    """Label under which what was adopted so far is a rung of the ladder."""


class Ladder(FrozenConfig):
    """How the rungs are compared: each is trained at the same fresh seeds, as long as the baseline says."""

    seeds: Annotated[int, Field(ge=3, le=MAX_LADDER_SEEDS)] = 8
    first_seed: Annotated[int, Field(ge=0, lt=2**31)] = 1000
    """No stage trains with the seeds from here on."""

    @property
    def listed(self) -> tuple[int, ...]:
        """The seeds of every rung."""
        return tuple(range(self.first_seed, self.first_seed + self.seeds))


class Baseline(FrozenConfig):
    """The first rung, and what all stages share until one of them adopts something better."""

    proxy: dict[str, Any]
    """A ``proxy`` section: the run that is to be improved."""
    constraints: dict[str, Any] = Field(default_factory=dict)
    """Those of the stages that vary the network and say none themselves."""
    resources_per_trial: dict[str, Any] = Field(default_factory=dict)
    parallel_trial_count: Annotated[int, Field(ge=1, le=4096)] = 1


class CampaignDocument(FrozenConfig):
    """A whole campaign."""

    version: Literal[1] = 1
    name: Annotated[str, Field(min_length=1, max_length=200)]
    description: Annotated[str, Field(max_length=10_000)] = ""
    baseline: Baseline
    stages: Annotated[tuple[Stage, ...], Field(min_length=1, max_length=MAX_STAGES)]
    ladder: Ladder = Ladder()

    @property
    def rungs(self) -> tuple[tuple[str, int], ...]:
        """Labels of the ladder, each with the number of stages whose winners it has; empty where no stage is a rung."""
        labels = [(stage.rung, place + 1) for place, stage in enumerate(self.stages) if stage.rung is not None]
        return ((BASELINE, 0), *labels) if labels else ()

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        labels = [label for label, _ in self.rungs]
        for kind, given in (("name", [stage.name for stage in self.stages]), ("rung", labels)):
            repeated = next((one for one in given if given.count(one) > 1), None)
            if repeated is not None:
                raise ValueError(f"stages have the {kind} {repeated!r} twice; rename one of them")
        return self
