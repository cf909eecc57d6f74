import numpy as np
import torch

from trainer.text.data import Batches, PreparedData
from trainer.text.feeder import Feeder


def test_what_is_fed_ahead_is_what_is_asked_for(data: PreparedData) -> None:
    batches = [Batches(data.train, 32, 128, seed) for seed in (0, 1)]
    plain, ahead = (Feeder(batches, data.token_bytes, torch.device("cpu"), ahead=ahead) for ahead in (False, True))
    for step in (1, 2, 3, 9, 10, 3):
        expected, found = plain.take(step), ahead.take(step)
        assert torch.equal(found.tokens_mbs, expected.tokens_mbs)
        assert found.text_bytes == expected.text_bytes
        for member, own in enumerate(batches):
            assert np.array_equal(found.tokens_mbs[member].numpy(), own.batch(step))
            assert found.text_bytes[member] == data.token_bytes[own.batch(step)[:, 1:]].sum()
