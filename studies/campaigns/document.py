"""What a campaign is: its stages in order, what each adopts, and the rungs of its ladder."""

from typing import Annotated, Any

from pydantic import Field

from model.config import FrozenConfig

MAX_STAGES = 20
MAX_LADDER_SEEDS = 100
StageName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")]


class Stage(FrozenConfig):
    """One study. What the stages before adopted is put into its ``proxy`` section, unless it varies that itself.

    A model of ``inherit`` or ``teacher`` may be ``{kind: stage, stage: NAME}``: the winner of an earlier stage, whose
    study keeps its weights.
    """

    name: StageName
    study: dict[str, Any]
    """A study's spec."""
    adopt: Annotated[tuple[str, ...], Field(max_length=50)] = ()
    """Parameters whose values in the winner the later stages and rungs take."""
    rung: Annotated[str, Field(min_length=1, max_length=60)] | None = None
    """Label under which what was adopted so far is a rung of the ladder."""


class Ladder(FrozenConfig):
    """How the rungs are compared: each is trained at the same fresh seeds."""

    seeds: Annotated[int, Field(ge=3, le=MAX_LADDER_SEEDS)] = 8
    first_seed: Annotated[int, Field(ge=0, lt=2**31)] = 1000
    """No stage trains with the seeds from here on."""


class CampaignDocument(FrozenConfig):
    """A whole campaign."""

    version: int = 1
    name: Annotated[str, Field(min_length=1, max_length=200)]
    description: Annotated[str, Field(max_length=10_000)] = ""
    baseline: dict[str, Any]
    """The ``proxy`` section, and the ``constraints`` and ``resources_per_trial``, of the first rung: what all stages
    share until one of them adopts something better."""
    stages: Annotated[tuple[Stage, ...], Field(min_length=1, max_length=MAX_STAGES)]
    ladder: Ladder = Ladder()
