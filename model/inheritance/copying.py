"""The weights of a smaller network, copied from a larger one.

Shapes: d width, e channels of a head, f FFN width, v vocabulary.
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

    With everything kept and the same tokens the logits are the parent's.

    Raises:
        InvalidInput: the shapes do not allow it.
    """
    check_inheritable(parent.config, student.config)
    hidden_d = torch.tensor(selection.hidden)
    student.embedding.weight.copy_(token_map.blend(parent.embedding.weight)[:, hidden_d])
    if student.head is not None:
        student.head.weight.copy_(token_map.blend(parent.head_vd)[:, hidden_d])
    student.norm.gain.copy_(parent.norm.gain[hidden_d])
    for place, layer in enumerate(selection.layers):
        heads, queries, ffn = selection.heads[place], selection.queries[place], selection.ffn[place]
        block, source = cast(Block, student.blocks[place]), cast(Block, parent.blocks[layer])
        _copy_block(block, source, hidden_d, heads, queries, torch.tensor(ffn))


def _copy_block(
    block: Block, source: Block, hidden_d: Tensor, heads: Sequence[int], queries: Sequence[int], ffn_f: Tensor
) -> None:
    block.attention_norm.gain.copy_(source.attention_norm.gain[hidden_d])
    block.ffn_norm.gain.copy_(source.ffn_norm.gain[hidden_d])
    ours, theirs = block.attention, source.attention
    query_channels, key_channels = (_channels(kept, ours.head_dim) for kept in (queries, heads))
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


def _channels(heads: Sequence[int], head_dim: int) -> Tensor:
    """Channels of the given heads, one head after the other."""
    return (torch.tensor(heads)[:, None] * head_dim + torch.arange(head_dim)).flatten()
