"""What a run says before its first step: where it trains, how, and from where it goes on. Plain values, no torch."""

from bisect import bisect_left
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunSetup:
    """How a run was set up."""

    step: int
    """Steps done before: 0, or those of the checkpoint from which it goes on."""
    steps: int
    """Steps of the full length."""
    processes: int
    process_group: str
    """``none`` for one process, else ``gloo`` or ``nccl``."""
    device: str
    """Name of the first process's device."""
    precision: str
    attention: str
    compilation: str
    recomputed: bool
    """Whether blocks are run again in the backward pass, because their activations would not fit."""
    batch_tokens: int
    micro_batch_tokens: int
    """Of one forward pass of one process."""
    flops_per_token: float
    """Of training (``model.counts.training_flops_per_token``), and of the predictions of a teacher."""
    peak_flops_per_second: float
    """Of all devices together."""
    peak_source: str
    """``data sheet`` or ``measured``."""
    lines: tuple[str, ...] = ()
    """What it starts from, its rounds and its teacher, in words; none for a run from draws in one round."""
    round_ends: tuple[int, ...] = ()
    """Last step of each round; none where there is one round."""

    def round_at(self, step: int) -> int:
        """The round that step ``step`` belongs to, both counted from 1."""
        return bisect_left(self.round_ends, step) + 1

    def sentence(self) -> str:
        """The choices in one line."""
        where = f"{self.processes} processes ({self.process_group}) on" if self.processes > 1 else "one process on"
        kept = f"compilation {self.compilation}" + (", blocks recomputed" if self.recomputed else "")
        accumulated = -(-self.batch_tokens // (self.processes * self.micro_batch_tokens))
        return (
            f"{where} {self.device}: {self.precision}, attention {self.attention}, {kept}, "
            f"batch {self.batch_tokens} = {accumulated} × {self.processes} × {self.micro_batch_tokens} tokens at most, "
            f"peak {self.peak_flops_per_second / 1e12:.3g} TFLOP/s ({self.peak_source})"
        )

    def utilisation(self, tokens_per_second: float) -> float:
        """MFU: the FLOPs that the model needs over those that the devices could make (arXiv 2204.02311, appendix B)."""
        return tokens_per_second * self.flops_per_token / self.peak_flops_per_second


class Meter:
    """Tokens a second over the steps since the one before, not since the run's beginning."""

    def __init__(self) -> None:
        self._before: tuple[int, float] | None = None
        self.latest = 0.0
        """The rate at the last step."""

    def rate(self, tokens: int, seconds: float) -> float:
        """The rate at a step after which ``tokens`` have been seen in ``seconds`` of training."""
        tokens_before, seconds_before = self._before or (0, 0.0)
        if seconds > seconds_before and tokens > tokens_before:
            self.latest = (tokens - tokens_before) / (seconds - seconds_before)
        self._before = tokens, seconds
        return self.latest
