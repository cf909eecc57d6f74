"""What decoding keeps of the positions before: keys and values of every block, and where documents began.

Shapes: b batch, k key and value heads, s new positions, t positions so far, e channels of a head.
"""

import torch
from torch import Tensor


class KeyValues:
    """Keys and values of one block, in room for every position that will come."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._length = 0
        self._room: tuple[Tensor, Tensor] | None = None

    def append(self, key_bkse: Tensor, value_bkse: Tensor) -> tuple[Tensor, Tensor]:
        """Keep new positions; return those of all positions so far, ``bkte``."""
        if self._room is None:
            b, k, _, e = key_bkse.shape
            self._room = key_bkse.new_empty(b, k, self._capacity, e), value_bkse.new_empty(b, k, self._capacity, e)
        start, self._length = self._length, self._length + key_bkse.shape[2]
        for room, new in zip(self._room, (key_bkse, value_bkse), strict=True):
            room[:, :, start : self._length] = new
        keys, values = self._room
        return keys[:, :, : self._length], values[:, :, : self._length]


class Past:
    """The positions that a network has seen of some sequences; the first call takes several, every later one takes one.

    Args:
        blocks: of the network.
        capacity: positions that will be seen altogether.
    """

    def __init__(self, blocks: int, capacity: int) -> None:
        self.of_block = [KeyValues(capacity) for _ in range(blocks)]
        self.length = 0
        """Positions so far."""
        self._documents_bt: Tensor | None = None

    def documents(self, begins_bs: Tensor) -> Tensor:
        """Document of each position so far, ``bt``; ``begins_bs`` says of new positions whether one begins there."""
        if self._documents_bt is None:
            self._documents_bt = begins_bs.cumsum(1)
        else:
            new_bs = self._documents_bt[:, -1:] + begins_bs.cumsum(1)
            self._documents_bt = torch.cat((self._documents_bt, new_bs), dim=1)
        return self._documents_bt
