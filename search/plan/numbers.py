"""Trial numbers: which outer slot and inner point each one is, or which replicate."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class _Segment:
    """A stretch of numbers that outer slots take; ``first`` is its first number, ``slot`` its first slot."""

    first: int
    slot: int


class Numbers:
    """The layout of the numbers of a study.

    Slots are outer points in the order in which they are begun; each takes as many numbers as there are inner points,
    so that number = slot × inner points + inner index. A block of replicates takes ``block`` numbers after them. Where
    a study was extended afterwards, further slots follow the block, and another block follows those.
    """

    def __init__(self, inner: int, block: int) -> None:
        self._inner = inner
        self.block = block
        self._segments = [_Segment(0, 0)]

    @property
    def segment(self) -> int:
        """First number of the newest stretch of slots."""
        return self._segments[-1].first

    def begin_block(self, first: int) -> None:
        """Let a block of replicates begin; the slot that it cuts off stays partial."""
        last = self._segments[-1]
        slots = -(-(first - last.first) // self._inner)
        self._segments.append(_Segment(first + self.block, last.slot + slots))

    def block_of(self, number: int) -> int | None:
        """First number of the block that holds ``number``; None when a slot does."""
        for segment in self._segments[1:]:
            if segment.first - self.block <= number < segment.first:
                return segment.first - self.block
        return None

    def block_after(self, number: int) -> int | None:
        """First number of the first block above ``number``; None when there is none yet."""
        firsts = (segment.first - self.block for segment in self._segments[1:])
        return next((first for first in firsts if first > number), None)

    def block_index(self, first: int) -> int:
        """Which block begins at ``first``, counted from 0."""
        return [segment.first - self.block for segment in self._segments[1:]].index(first)

    def place(self, number: int) -> tuple[int, int]:
        """Slot and inner index of a number that no block holds."""
        segment = next(segment for segment in reversed(self._segments) if segment.first <= number)
        slots, inner = divmod(number - segment.first, self._inner)
        return segment.slot + slots, inner
