"""The training loss of a run by step, thinned so that a trial's rows stay few."""

MAX_LOSSES = 200
"""Most losses of one trial that are kept (assumed: a curve is some hundred pixels wide)."""


class LossCurve:
    """Collects the losses of one run and hands them out in parts.

    The run's steps are divided into ``MAX_LOSSES`` equal stretches, and the first loss that was read in each is kept:
    what is kept depends on the run's length alone.
    """

    def __init__(self) -> None:
        self._stretch = -1
        self._kept: list[tuple[int, float]] = []

    def add(self, step: int, steps: int, loss: float) -> None:
        """See the loss of ``step``, counted from 1, of a run of ``steps``; the same step may be seen again."""
        stretch = (step - 1) * MAX_LOSSES // steps
        if stretch > self._stretch:
            self._stretch = stretch
            self._kept.append((step, loss))

    def take(self) -> tuple[tuple[int, float], ...]:
        """What was kept since the last call."""
        taken = tuple(self._kept)
        self._kept.clear()
        return taken
