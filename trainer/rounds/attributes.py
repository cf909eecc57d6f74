"""What a run stores about its rounds."""

import statistics

from trainer.plan import RunPlan
from trainer.results import Value
from trainer.rounds.batches import RoundBatches
from trainer.rounds.config import RoundsConfig
from trainer.text.data import Batches


def round_attributes(config: RoundsConfig, plan: RunPlan, batches: Batches, step: int) -> dict[str, Value]:
    """The rounds of one member that has done ``step`` steps.

    ``selected_loss_gain`` is the mean recorded loss of the chosen batches less that of all, in nats per token, averaged
    over the rounds that were chosen: 0 for an equal chance, up to rounding. ``later_rounds_fresh`` says of ``fresh``
    whether it showed nothing twice.
    """
    rounds = plan.rounds
    if rounds is None:
        return {"rounds": 1}
    of_parts: dict[str, Value] = {
        "rounds": rounds.rounds,
        "parts": rounds.parts,
        "first_round_steps": rounds.first_steps,
    }
    if not isinstance(batches, RoundBatches):
        return of_parts
    chosen: dict[str, Value] = {
        "sampling_rate": config.sampling_rate,
        "round_selection": config.selection,
        "later_round_steps": rounds.later_steps,
    }
    if config.uses_losses:
        chosen["round_losses"] = config.losses
    if batches.gains:
        chosen["selected_loss_gain"] = statistics.mean(batches.gains.values())
    if batches.fresh:
        seen = step * batches.batch_sequences * batches.sequence_length
        chosen["later_rounds_fresh"] = batches.unique_tokens(step) == seen
    return {**of_parts, **chosen}
