"""Which units of a larger network a smaller one keeps: those of largest score, consistently through the network.

A channel of the residual stream is read and written by every layer, so one choice holds for all of them, the embedding
and the head. A key and value head goes with query heads that share it. FFN channels are a layer's own.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from model.config import ArchitectureConfig
from model.errors import InvalidInput
from model.inheritance.shapes import check_inheritable
from model.inheritance.units import Scores, Selection


def select(scores: Scores, parent: ArchitectureConfig, student: ArchitectureConfig, layers: Sequence[int]) -> Selection:
    """Keep the units of largest score in the kept ``layers``; of equals the first.

    Raises:
        InvalidInput: the shapes do not allow it (``check_inheritable``), or a score is no finite number.
    """
    check_inheritable(parent, student)
    _check_finite(scores)
    heads = tuple(_largest(scores.heads_lk[layer], student.kv_heads) for layer in layers)
    queries = tuple(
        tuple(_queries(scores.queries_lh[layer], kept, parent, student))
        for layer, kept in zip(layers, heads, strict=True)
    )
    return Selection(
        layers=tuple(layers),
        hidden=_largest(scores.hidden_d, student.width),
        heads=heads,
        queries=queries,
        ffn=tuple(_largest(scores.ffn_lf[layer], student.ffn_width) for layer in layers),
    )


def _queries(
    scores_h: Tensor, heads: Sequence[int], parent: ArchitectureConfig, student: ArchitectureConfig
) -> Iterator[int]:
    """Query heads of each kept key and value head, in its order."""
    group, kept = parent.heads // parent.kv_heads, student.heads // student.kv_heads
    for head in heads:
        first = head * group
        yield from (first + place for place in _largest(scores_h[first : first + group], kept))


def _largest(scores_n: Tensor, count: int) -> tuple[int, ...]:
    order_n = torch.argsort(scores_n, descending=True, stable=True)
    return tuple(sorted(order_n[:count].tolist()))


def _check_finite(scores: Scores) -> None:
    for name, worth in zip(
        ("channels", "heads", "queries", "FFN channels"),
        (scores.hidden_d, scores.heads_lk, scores.queries_lh, scores.ffn_lf),
        strict=True,
    ):
        if not worth.isfinite().all():
            reason = f"gives scores of {name} that are no finite numbers"
            raise InvalidInput("inherit.parent", reason, "give a parent whose loss on the corpus is finite")
