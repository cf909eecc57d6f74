"""The weights of a smaller network, copied from a larger one.

The student computes what the parent would with everything else at 0, its norms dividing by the channels that are kept.
Nothing is rescaled: with gains times (d / d')^a for d' of d kept channels, a = 0 was within 0.02 bits per byte of the
best for each of fifteen cuts of two trained parents; a = 1/2, under which norms divide by all d channels as if the
others were 0, lost up to 0.2 (measured; docs/inheritance.md has the table).

Shapes: d width, f FFN width, v vocabulary.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from model.inheritance.shapes import check_inheritable
from model.inheritance.units import Selection
from model.inheritance.vocabulary import TokenMap
from model.transformer import Block, Transformer


@torch.no_grad()
def inherit_weights(student: Transformer, parent: Transformer, selection: Selection, token_map: TokenMap) -> None:
    """Overwrite every weight of ``student`` by those of ``parent`` that ``selection`` keeps.

    With everything kept, the same tokens and the same kind of head the logits are the parent's.

    Raises:
        InvalidInput: the shapes do not allow it.
    """
    check_inheritable(parent.config, student.config)
    hidden_d = torch.tensor(selection.hidden, device=parent.head_vd.device)
    embedding_vd, head_vd = tables(parent, student.config.tied_head)
    _copy_table(student.embedding.weight, embedding_vd, token_map, hidden_d)
    if student.head is not None:
        _copy_table(student.head.weight, head_vd, token_map, hidden_d)
    student.norm.gain.copy_(parent.norm.gain[hidden_d])
    for place, layer in enumerate(selection.layers):
        heads, queries, ffn = selection.heads[place], selection.queries[place], selection.ffn[place]
        block, source = cast(Block, student.blocks[place]), cast(Block, parent.blocks[layer])
        _copy_block(block, source, hidden_d, heads, queries, ffn)


def tables(parent: Transformer, tied: bool) -> tuple[Tensor, Tensor]:
    """Embedding and head ``vd`` that a student with a tied or untied head takes its rows from.

    An untied head of a tied parent starts as its embedding. The one table of a tied student of an untied parent is the
    sum of the parent's two, scaled to the root mean square of their norms, so that equal tables give themselves. Of two
    trained ones, nearly orthogonal (mean cosine of a token's rows 0.00), it gave 3.1 bits per byte, either table alone
    4.5 and 4.7, and the parent 2.2 (measured; docs/inheritance.md).
    """
    embedding_vd, head_vd = parent.embedding.weight, parent.head_vd
    if parent.head is None or not tied:
        return embedding_vd, head_vd
    sum_vd = embedding_vd + head_vd
    size = torch.stack((embedding_vd.norm(), head_vd.norm())).square().mean().sqrt()
    joined_vd = sum_vd * (size / sum_vd.norm())
    return joined_vd, joined_vd


def _copy_table(ours_vd: Tensor, theirs_vd: Tensor, token_map: TokenMap, hidden_d: Tensor) -> None:
    ours_vd.copy_(token_map.blend(theirs_vd[:, hidden_d]))


def _copy_block(
    block: Block, source: Block, hidden_d: Tensor, heads: Sequence[int], queries: Sequence[int], ffn: Sequence[int]
) -> None:
    block.attention_norm.gain.copy_(source.attention_norm.gain[hidden_d])
    block.ffn_norm.gain.copy_(source.ffn_norm.gain[hidden_d])
    ours, theirs = block.attention, source.attention
    query_channels, key_channels = (_channels(kept, ours.head_dim, hidden_d.device) for kept in (queries, heads))
    ffn_f = torch.tensor(ffn, device=hidden_d.device)
    _copy(ours.query, theirs.query, query_channels, hidden_d)
    _copy(ours.key, theirs.key, key_channels, hidden_d)
    _copy(ours.value, theirs.value, key_channels, hidden_d)
    _copy(ours.output, theirs.output, hidden_d, query_channels)
    ours.query_norm.load_state_dict(theirs.query_norm.state_dict())
    ours.key_norm.load_state_dict(theirs.key_norm.state_dict())
    _copy(block.ffn.gate, source.ffn.gate, ffn_f, hidden_d)
    _copy(block.ffn.up, source.ffn.up, ffn_f, hidden_d)
    _copy(block.ffn.down, source.ffn.down, hidden_d, ffn_f)


def _copy(ours: nn.Linear, theirs: nn.Linear, rows: Tensor, columns: Tensor) -> None:
    ours.weight.copy_(theirs.weight[rows][:, columns])


def _channels(heads: Sequence[int], head_dim: int, device: torch.device) -> Tensor:
    """Channels of the given heads, one head after the other."""
    first = torch.tensor(heads, device=device)[:, None] * head_dim
    return (first + torch.arange(head_dim, device=device)).flatten()
