"""What a parent and a teacher add to the estimated cost of a study."""

from typing import Any

import pytest

from model.config import ArchitectureConfig
from model.counts import forward_flops_per_token, training_flops_per_token
from studies.spec import build_space
from studies.specs.cost import Cost, Others, estimate_cost
from studies.specs.parsing import parse_spec

TRIAL = {"kind": "trial", "study": 3, "trial": 5}
LARGE = ArchitectureConfig(
    vocabulary_size=512, depth=8, width=256, ffn_width=688, head_dim=32, kv_heads=8, sequence_length=64
)


def cost(others: Others | None = None, **changes: Any) -> Cost:
    proxy = {"train_tokens": 409_600, "vocabulary_size": 512}
    spec = parse_spec({"name": "costs", "proxy": proxy, "max_trial_count": 1, **changes})
    return estimate_cost(spec, build_space(spec), others=others or Others())


PLAIN = cost()


def test_a_teachers_forward_passes_are_counted() -> None:
    taught = cost(Others(teacher=LARGE), teacher={"model": TRIAL})
    shape = LARGE.model_copy(update={"sequence_length": 256})
    assert taught.total_flops - PLAIN.total_flops == pytest.approx(409_600 * forward_flops_per_token(shape))


@pytest.mark.parametrize("layers", ["importance", "first"])
@pytest.mark.parametrize(("neurons", "tokens"), [("l1", 0), ("taylor", 47_393), ("learned_mask", 10 * 4096)])
def test_choosing_what_is_inherited_is_counted(neurons: str, tokens: int, layers: str) -> None:
    inherit = {"parent": TRIAL, "neurons": neurons, "layers": layers, "mask_steps": 10}
    found = cost(Others(parent=LARGE), inherit=inherit).total_flops - PLAIN.total_flops
    kept = LARGE.model_copy(update={"sequence_length": 256, "depth": 4})
    scores = tokens * training_flops_per_token(kept)
    if layers == "first":
        assert found == pytest.approx(scores, rel=1e-4)
    else:  # 1 + 8 + 7 + 6 passes, which share their first layers
        table = found - scores
        plain = 47_393 * forward_flops_per_token(LARGE.model_copy(update={"sequence_length": 256}))
        assert 1 < table / plain < 1 + 8 + 7 + 6


def test_what_could_not_be_looked_at_is_said() -> None:
    unseen = cost(inherit={"parent": TRIAL}, teacher={"model": TRIAL})
    assert unseen.total_flops == PLAIN.total_flops
    said = [line for line in unseen.assumptions if "could not be looked at" in line]
    assert len(said) == 2
    assert not [line for line in PLAIN.assumptions if "could not be looked at" in line]


def test_measuring_batches_at_the_ends_of_rounds_is_counted() -> None:
    proxy = {"train_tokens": 409_600, "vocabulary_size": 512, "batch_tokens": 4096, "rounds": 3, "parts": 2}
    during, end = (cost(proxy={**proxy, "round_losses": losses}) for losses in ("during", "end"))
    measured = 2 * 50 * 4096  # twice the first of three rounds of 50, 25 and 25 steps
    assert end.total_flops / during.total_flops == pytest.approx(1 + measured / 3 / 409_600)
