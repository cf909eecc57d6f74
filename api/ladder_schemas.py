"""What the API answers about ladders of campaigns."""

from typing import Self

from api.schemas import Response
from studies.campaigns.judgement import LadderJudgement
from studies.campaigns.runs import Cost
from studies.service.campaigns import CampaignLadder


class CostResponse(Response):
    """What a study has taken, or several."""

    train_flops: float
    """Of its complete and stopped trials, cooldowns and a teacher among them, without what inheriting took."""
    inherit_flops: float
    """Of choosing what its trials inherit, each choice once; the parent's own training is its stage's."""
    device_seconds: float
    """Over all trials: training, evaluation, decoding and compilation."""
    wall_seconds: float | None
    """From its start to its end, or until now; null before it is begun."""


class PartCost(CostResponse):
    """What the study of a stage or a rung has taken."""

    name: str
    """The stage's name, or the rung's label."""
    study_id: int


class LadderResponse(Response):
    """The ladder of a campaign as its trials stand now, and what all of its studies have cost."""

    campaign_id: int
    judgement: LadderJudgement | None
    """Null where no stage is a rung."""
    costs: list[PartCost]
    """Of each study once: rungs that share one are counted under the first of them."""
    total: CostResponse
    """In wall time without the pauses between studies."""

    @classmethod
    def of(cls, ladder: CampaignLadder) -> Self:
        """Join judgement and costs."""
        parts = [*ladder.progress.stages, *ladder.progress.rungs]
        first = {part.study_id: part.name for part in reversed(parts) if part.study_id is not None}
        return cls(
            campaign_id=ladder.progress.campaign.id,
            judgement=ladder.judgement,
            costs=[
                PartCost(name=first[study_id], study_id=study_id, **_fields(cost))
                for study_id, cost in ladder.costs.items()
            ],
            total=CostResponse(**_fields(ladder.total)),
        )


def _fields(cost: Cost) -> dict[str, float | None]:
    return {name: getattr(cost, name) for name in CostResponse.model_fields}
