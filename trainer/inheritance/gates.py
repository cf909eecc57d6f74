"""A parent with a gate at each of its units: what it computes without some of them, and how the loss follows each gate.

At gates of 0 and 1 it computes what the network that is pruned so computes, at the parent's vocabulary: its layers, its
head, and norms that divide by the number of channels it has. Only weights are multiplied, so that the forward pass is
that of every network here.

Shapes: l kept layers, d width, k key and value heads, h query heads, f FFN width, b batch, s sequence,
n predicted positions.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.func import functional_call

from model.config import ArchitectureConfig
from model.inheritance.copying import tables
from model.inheritance.units import Scores
from model.transformer import Transformer
from trainer.config import Precision
from trainer.loss import IGNORED, head_loss
from trainer.machine.precision import autocast
from trainer.program import HiddenStates

_STREAM_NORMS = ("attention_norm", "ffn_norm")


@dataclass(frozen=True)
class Gates:
    """A factor of what each unit of the kept layers writes; 1 changes nothing, 0 takes the unit away."""

    hidden_d: Tensor
    heads_lk: Tensor
    queries_lh: Tensor
    ffn_lf: Tensor

    def tensors(self) -> list[Tensor]:
        """All of them, in the order of the fields."""
        return [getattr(self, field.name) for field in fields(self)]

    @classmethod
    def of(cls, tensors: Iterable[Tensor]) -> "Gates":
        """The reverse of ``tensors``."""
        return cls(*tensors)

    @classmethod
    def ones(cls, config: ArchitectureConfig, layers: int, device: torch.device) -> "Gates":
        """Open gates for so many layers of a network."""
        shapes = ((config.width,), (layers, config.kv_heads), (layers, config.heads), (layers, config.ffn_width))
        return cls.of(torch.ones(shape, device=device) for shape in shapes)


class GatedParent:
    """A frozen parent of which only ``layers`` are run, with gates.

    Args:
        parent: on the device that computes.
        layers: of the parent, ascending; as many as the student has.
        student: whose epsilon it has, and whose kind of head decides about the tables.
        width: channels that the gates leave open, by which norms divide; all of the parent's, if left out.
    """

    def __init__(
        self, parent: Transformer, layers: Sequence[int], student: ArchitectureConfig, width: int | None = None
    ) -> None:
        self.config, self.layers, self.device = parent.config, layers, parent.head_vd.device
        self._parent = parent
        self._share = (width or parent.config.width) / parent.config.width
        self._embedding_vd, self._head_vd = (table.detach() for table in tables(parent, student.tied_head))
        with torch.device("meta"):
            shape = {"depth": len(layers), "norm_eps": student.norm_eps}
            network = Transformer(parent.config.model_copy(update=shape), parent.backend)
        for norm in [network.norm, *(getattr(block, name) for block in network.blocks for name in _STREAM_NORMS)]:
            norm.eps = student.norm_eps * self._share
        self._call = HiddenStates(network)
        self._weights = {name: self._frozen(name) for name, _ in network.named_parameters() if name != "head.weight"}

    def loss(self, gates: Gates, inputs_bs: Tensor, targets_bs: Tensor, precision: Precision) -> Tensor:
        """Mean cross-entropy in nats of the targets that are not ``IGNORED``, with a graph to the gates."""
        predicted_bs = targets_bs != IGNORED
        with autocast(precision, self.device):
            hidden_nd = self._hidden(gates, inputs_bs)[predicted_bs]
            loss_m, _ = head_loss(hidden_nd[None], self._head_vd[None], targets_bs[predicted_bs][None])
        return loss_m[0]

    def scores(self, gates: Gates) -> Scores:
        """Values at gates as scores of all of the parent's units; those of layers that are not kept are 0."""
        depth, layers = self.config.depth, list(self.layers)

        def spread(values_ln: Tensor) -> Tensor:
            spread_ln = torch.zeros(depth, values_ln.shape[1])
            spread_ln[layers] = values_ln.detach().cpu()
            return spread_ln

        hidden_d = gates.hidden_d.detach().cpu()
        return Scores(hidden_d, spread(gates.heads_lk), spread(gates.queries_lh), spread(gates.ffn_lf))

    def _hidden(self, gates: Gates, tokens_bs: Tensor) -> Tensor:
        state = {f"network.{name}": self._gated(name, weight, gates) for name, weight in self._weights.items()}
        state |= {"network.cos_se": self._parent.cos_se, "network.sin_se": self._parent.sin_se}
        hidden_bsd: Tensor = functional_call(self._call, state, (tokens_bs,))
        return hidden_bsd

    def _gated(self, name: str, weight: Tensor, gates: Gates) -> Tensor:
        """A weight times the gates of what it writes and, inside a layer, of the units it reads from."""
        if name == "embedding.weight":
            return weight * gates.hidden_d
        if name.endswith("attention.output.weight"):
            layer = int(name.split(".")[1])
            group = self.config.heads // self.config.kv_heads
            open_h = gates.heads_lk[layer].repeat_interleave(group) * gates.queries_lh[layer]
            return weight * open_h.repeat_interleave(self.config.head_dim) * gates.hidden_d[:, None]
        if name.endswith("ffn.down.weight"):
            return weight * gates.ffn_lf[int(name.split(".")[1])] * gates.hidden_d[:, None]
        return weight

    def _frozen(self, name: str) -> Tensor:
        """The parent's weight, that of a norm of the stream so that it divides by the open channels.

        x / √(Σx² / k + ε) · g is x / √(Σx² / d + ε k/d) · g √(k/d), k being the channels in which x is not 0.
        """
        if name == "embedding.weight":
            return self._embedding_vd
        weight = self._parent.get_parameter(self._name_in_parent(name)).detach()
        in_stream = name == "norm.gain" or name.endswith(tuple(f"{norm}.gain" for norm in _STREAM_NORMS))
        return weight * self._share**0.5 if in_stream else weight

    def _name_in_parent(self, name: str) -> str:
        if not name.startswith("blocks."):
            return name
        _, layer, inner = name.split(".", maxsplit=2)
        return f"blocks.{self.layers[int(layer)]}.{inner}"
