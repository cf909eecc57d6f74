"""A small tokenizer cut out of a large one (F1 of the paper): which tokens stay, and how much of a text they cover.

A token can only be reached through the tokens that its text is merged through. So each is kept together with those,
its ancestors, and a merge is kept when both parts and the product are. The merges on the way to a kept token are then
chosen as in the large tokenizer: the available ones are fewer, and the best of all is still among them (derived). All
other text falls back to smaller tokens, in the end to bytes.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Literal

from model.tokenizer.counting import Counts
from model.tokenizer.merges import in_closed_order
from model.tokenizer.pairs import BYTE_TOKENS, BytePairs
from model.tokenizer.source import Source

Method = Literal["frequency", "merges"]
"""What stays. ``frequency``: the tokens formed most often while a corpus is encoded. ``merges``: the first ones in the
large tokenizer's own order."""


@dataclass(frozen=True)
class Reduction:
    """Every smaller tokenizer that one method cuts out of a source: each size keeps what a smaller one keeps."""

    source: Source
    method: Method
    counts: Mapping[str, int]
    """Occurrences of each token of the source in a corpus."""

    @cached_property
    def order(self) -> tuple[str, ...]:
        """Tokens in the order in which they are kept, each after its ancestors."""
        base = set(BYTE_TOKENS[self.source.alphabet])
        reached = [token for token in self.source.tokens if token in self.source.last and token not in base]
        if self.method == "frequency":
            formed = times_formed(self.source, self.counts)
            reached.sort(key=lambda token: -formed[token])
        return tuple(token for token in in_closed_order(reached, self.source.last) if token not in base)

    @cached_property
    def _covered(self) -> list[int]:
        """Occurrences that are kept tokens, by how many of ``order`` are kept."""
        base = sum(self.counts.get(token, 0) for token in BYTE_TOKENS[self.source.alphabet])
        return list(accumulate((self.counts.get(token, 0) for token in self.order), initial=base))

    def coverage(self, size: int) -> float:
        """Share of the occurrences in the corpus whose token a tokenizer of ``size`` tokens keeps.

        What F1 of the paper calls coverage; 0 for a corpus without tokens.
        """
        occurrences = sum(self.counts.values())
        return self._covered[self._kept(size)] / occurrences if occurrences else 0.0

    def smallest_covering(self, share: float) -> int | None:
        """Fewest tokens that cover more than ``share`` of the corpus; None where no size does."""
        occurrences = sum(self.counts.values())
        kept = bisect_right(self._covered, share * occurrences)
        return None if kept >= len(self._covered) else self.source.smallest + kept

    def pairs(self, size: int) -> BytePairs:
        """Cut a tokenizer of exactly ``size`` tokens out of the source; they keep their order.

        Raises:
            InvalidInput: names the sizes that can be reached.
        """
        base = BYTE_TOKENS[self.source.alphabet]
        kept = {*base, *self.order[: self._kept(size)]}
        whole = self.source.pairs
        return BytePairs(
            special=whole.special,
            tokens=tuple(token for token in whole.tokens if token in kept),
            merges=tuple(pair for pair in whole.merges if {*pair, pair[0] + pair[1]} <= kept),
            alphabet=whole.alphabet,
            pattern=whole.pattern,
            ignore_merges=whole.ignore_merges,
        )

    def _kept(self, size: int) -> int:
        self.source.check_size(size)
        return size - self.source.smallest


def reduction(source: Source, method: Method, counts: Counts) -> Reduction:
    """Make the reduction for what ``count_tokens`` counted with the source's own tokenizer."""
    return Reduction(
        source, method, dict(zip(source.pairs.special + source.pairs.tokens, counts.tolist(), strict=True))
    )


def times_formed(source: Source, counts: Mapping[str, int]) -> dict[str, int]:
    """How often each token is formed while the corpus is encoded: itself, or on the way to a larger token.

    An ancestor is formed at least as often as its descendants, and exactly this often would it be a token of the text
    if none of them were kept: it is the count by which BPE training chooses (arXiv 1508.07909, section 3.2).
    """
    formed = {token: counts.get(token, 0) for token in source.tokens}
    for token in _largest_first(source.last):
        for part in source.last[token] or ():
            formed[part] += formed[token]
    return formed


def _largest_first(tokens: Mapping[str, object]) -> Sequence[str]:
    return sorted(tokens, key=len, reverse=True)
