"""A training loss curve is thinned to few points, whatever the length and however often it is asked for."""

from hypothesis import given
from hypothesis import strategies as st

from search.loss_curve import MAX_LOSSES, LossCurve


@given(st.integers(1, 3000), st.integers(1, 20), st.sets(st.integers(1, 3000), max_size=5))
def test_a_curve_keeps_few_losses_of_the_whole_run(steps: int, read_every: int, asked: set[int]) -> None:
    curve, kept = LossCurve(), []
    for step in range(1, steps + 1):
        read = step - (step - 1) % read_every  # on CUDA a loss is read now and then
        curve.add(read, steps, float(read))
        if step in asked:
            kept += curve.take()
    kept += curve.take()
    found = [step for step, _ in kept]
    assert all(loss == step for step, loss in kept)
    assert found == sorted(set(found))
    assert found[0] == 1
    assert len(found) <= MAX_LOSSES
    assert len(found) >= min(len(range(1, steps + 1, read_every)), MAX_LOSSES) / 2
    assert curve.take() == ()


def test_a_short_run_keeps_every_loss() -> None:
    curve = LossCurve()
    for step in range(1, MAX_LOSSES + 1):
        curve.add(step, MAX_LOSSES, 1.0)
    assert [step for step, _ in curve.take()] == list(range(1, MAX_LOSSES + 1))
