"""How often each token occurs in a text, counted on all cores."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

GROUP_CHARACTERS = 2**20
"""Characters handed to the library in one call, which encodes the texts of it on all cores (assumed)."""
GROUPS_AT_ONCE = 3
"""While the library encodes one group, which needs no Python, the ids of another are counted (assumed)."""
LONGEST_PIECE = 2**16
"""Longer texts are cut, so that one text does not occupy one core alone (assumed)."""

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Counted:
    """What was counted."""

    counts: Counts
    """Occurrences of each token by its id."""
    text_bytes: int
    """UTF-8 bytes of the texts."""
    texts: int

    @property
    def tokens(self) -> int:
        """All occurrences."""
        return int(self.counts.sum())

    @property
    def bytes_per_token(self) -> float:
        """Average bytes of text that a token stands for; 0 where nothing was counted."""
        return self.text_bytes / self.tokens if self.tokens else 0.0


def count_tokens(
    tokenizer: Tokenizer, texts: Iterable[str], progress: Callable[[int], None] = lambda text_bytes: None
) -> Counted:
    """Count the tokens of ``texts``; ``progress`` is told the bytes done so far."""
    counts = np.zeros(tokenizer.get_vocab_size(), dtype=np.int64)
    text_bytes = number = 0
    running: deque[Future[tuple[Counts, int, int]]] = deque()

    def take() -> None:
        nonlocal text_bytes, number
        found, size, texts = running.popleft().result()
        counts[:] += found
        text_bytes += size
        number += texts
        progress(text_bytes)

    with ThreadPoolExecutor(GROUPS_AT_ONCE) as pool:
        for group, whole in _groups(texts):
            running.append(pool.submit(_count, tokenizer, group, whole))
            if len(running) > GROUPS_AT_ONCE:
                take()
        while running:
            take()
    return Counted(counts, text_bytes, number)


def _count(tokenizer: Tokenizer, group: list[str], texts: int) -> tuple[Counts, int, int]:
    counts = np.zeros(tokenizer.get_vocab_size(), dtype=np.int64)
    for encoding in tokenizer.encode_batch_fast(group, add_special_tokens=False):
        counts += np.bincount(np.array(encoding.ids, dtype=np.int64), minlength=len(counts))
    return counts, sum(len(text.encode()) for text in group), texts


def _groups(texts: Iterable[str]) -> Iterator[tuple[list[str], int]]:
    """Pieces of text of together about ``GROUP_CHARACTERS``, and how many texts end among them."""
    group: list[str] = []
    size = whole = 0
    for text in texts:
        for start in range(0, len(text), LONGEST_PIECE):
            group.append(text[start : start + LONGEST_PIECE])
            size += len(group[-1])
            if size >= GROUP_CHARACTERS:
                yield group, whole
                group, size, whole = [], 0, 0
        whole += 1
    if group or whole:
        yield group, whole
