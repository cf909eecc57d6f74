"""What an optimizer step runs: one network, or several of one shape as one batched program.

Shapes: m members, b sequences, s positions, d width, v vocabulary, n = b · s.
"""

import copy
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap

from model.attention import AttentionBackend
from model.initialization import initialize
from model.transformer import Transformer
from trainer.config import ProxyConfig
from trainer.criterion import Criterion
from trainer.distillation.teacher import Teacher
from trainer.loss import head_nats
from trainer.optim import StackedAdamW, make_optimizer, set_learning_rate

UNBATCHED_SDPA = "There is a performance drop .* aten::_scaled_dot_product_flash_attention_for_cpu"
"""What PyTorch warns of when it runs a stack's attention member by member on a CPU, which costs no more than each alone
(measured: docs/benchmarks.md)."""


class Program(Protocol):
    """The members' weights and optimizer; every tensor about them has the axis ``m`` first."""

    criterion: Criterion

    def loss(self, inputs_mbs: Tensor, targets_mbs: Tensor) -> tuple[Tensor, Tensor]:
        """The objective ``m``, with a graph, and the readings of the criterion ``rm``, the cross-entropy first."""

    def nats(self, inputs_bs: Tensor, targets_bs: Tensor) -> Tensor:
        """Summed cross-entropy ``m`` of one text in nats, for all members, without a graph."""

    def nats_of_each(self, inputs_mbs: Tensor, targets_mbs: Tensor) -> Tensor:
        """The same of a text of each member's own."""

    def update(self, rates: Sequence[float]) -> None:
        """Clip each member's gradient, step with each member's rate, and forget the gradients."""

    def forget_gradients(self) -> None:
        """Drop what was accumulated."""

    def network_of(self, member: int) -> Transformer:
        """The network of a member; that of a stack is a copy."""

    def start_from(self, member: int, weights: Mapping[str, Tensor]) -> None:
        """Replace a member's initial weights by others, by the names of its network's parameters."""

    def snapshot(self) -> Any:
        """A copy of weights and optimizer state."""

    def restore(self, snapshot: Any) -> None:
        """Go back to a snapshot."""


class SingleProgram:
    """One network and its fused optimizer."""

    def __init__(
        self, config: ProxyConfig, backend: AttentionBackend, device: torch.device, teacher: Teacher | None = None
    ) -> None:
        self.criterion = Criterion(config.optimization.z_loss, teacher)
        self.network = initial_network(config, backend).to(device)
        self.optimizer = make_optimizer(self.network, config.optimization)
        self._optimization = config.optimization

    def loss(self, inputs_mbs: Tensor, targets_mbs: Tensor) -> tuple[Tensor, Tensor]:
        """See :class:`Program`."""
        taught_mne = self.criterion.taught(inputs_mbs)
        hidden_nd = self.network.hidden(inputs_mbs[0]).flatten(0, 1)
        return self.criterion.loss(hidden_nd[None], self.network.head_vd[None], targets_mbs, taught_mne)

    def nats(self, inputs_bs: Tensor, targets_bs: Tensor) -> Tensor:
        """See :class:`Program`."""
        hidden_nd = self.network.hidden(inputs_bs).flatten(0, 1)
        return head_nats(hidden_nd[None], self.network.head_vd[None], targets_bs.flatten()[None])

    def nats_of_each(self, inputs_mbs: Tensor, targets_mbs: Tensor) -> Tensor:
        """See :class:`Program`."""
        return self.nats(inputs_mbs[0], targets_mbs[0])

    def update(self, rates: Sequence[float]) -> None:
        """See :class:`Program`."""
        set_learning_rate(self.optimizer, rates[0])
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self._optimization.gradient_clip)
        self.optimizer.step()
        self.forget_gradients()

    def forget_gradients(self) -> None:
        """See :class:`Program`."""
        self.optimizer.zero_grad()

    def network_of(self, member: int) -> Transformer:
        """See :class:`Program`."""
        return self.network

    @torch.no_grad()
    def start_from(self, member: int, weights: Mapping[str, Tensor]) -> None:
        """See :class:`Program`."""
        for name, parameter in self.network.named_parameters():
            parameter.copy_(weights[name])

    def snapshot(self) -> Any:
        """See :class:`Program`."""
        return copy.deepcopy((self.network.state_dict(), self.optimizer.state_dict()))

    def restore(self, snapshot: Any) -> None:
        """See :class:`Program`."""
        weights, moments = snapshot
        self.network.load_state_dict(weights)
        self.optimizer.load_state_dict(moments)


class StackedProgram:
    """Networks of one shape whose parameters lie side by side, trained by batched operations (``torch.func.vmap``).

    The members share no parameter, so that the gradient of the sum of their losses is each one's own.
    """

    def __init__(
        self,
        configs: Sequence[ProxyConfig],
        backend: AttentionBackend,
        device: torch.device,
        teacher: Teacher | None = None,
    ) -> None:
        self.criterion = Criterion(configs[0].optimization.z_loss, teacher)
        warnings.filterwarnings("ignore", message=UNBATCHED_SDPA)
        networks = [initial_network(config, backend).to(device) for config in configs]
        stacked, _ = stack_module_state(networks)
        self._buffers = dict(networks[0].named_buffers())
        self._network = networks[0].to("meta")
        self._call = HiddenStates(self._network)
        optimizations = [config.optimization for config in configs]
        self.optimizer = StackedAdamW(stacked, optimizations, configs[0].architecture)
        self.parameters = self.optimizer.parameters

    def loss(self, inputs_mbs: Tensor, targets_mbs: Tensor) -> tuple[Tensor, Tensor]:
        """See :class:`Program`."""
        taught_mne = self.criterion.taught(inputs_mbs)
        hidden_mnd = vmap(self._hidden)(self.parameters, inputs_mbs).flatten(1, 2)
        return self.criterion.loss(hidden_mnd, self._head_mvd, targets_mbs, taught_mne)

    def nats(self, inputs_bs: Tensor, targets_bs: Tensor) -> Tensor:
        """See :class:`Program`."""
        hidden_mnd = vmap(self._hidden, in_dims=(0, None))(self.parameters, inputs_bs).flatten(1, 2)
        return head_nats(hidden_mnd, self._head_mvd, targets_bs.flatten().expand(len(hidden_mnd), -1))

    def nats_of_each(self, inputs_mbs: Tensor, targets_mbs: Tensor) -> Tensor:
        """See :class:`Program`."""
        hidden_mnd = vmap(self._hidden)(self.parameters, inputs_mbs).flatten(1, 2)
        return head_nats(hidden_mnd, self._head_mvd, targets_mbs.flatten(1))

    def update(self, rates: Sequence[float]) -> None:
        """See :class:`Program`."""
        self.optimizer.step(rates)
        self.forget_gradients()

    def forget_gradients(self) -> None:
        """See :class:`Program`."""
        for parameter in self.parameters.values():
            parameter.grad = None

    def network_of(self, member: int) -> Transformer:
        """See :class:`Program`."""
        weights = {name: parameter[member] for name, parameter in self.parameters.items()}
        network = Transformer(self._network.config, self._network.backend).to(weights["embedding.weight"].device)
        network.load_state_dict(weights)
        return network

    @torch.no_grad()
    def start_from(self, member: int, weights: Mapping[str, Tensor]) -> None:
        """See :class:`Program`."""
        for name, parameter in self.parameters.items():
            parameter[member].copy_(weights[name])

    def snapshot(self) -> Any:
        """See :class:`Program`."""
        return self.optimizer.snapshot()

    def restore(self, snapshot: Any) -> None:
        """See :class:`Program`."""
        self.optimizer.restore(snapshot)

    def _hidden(self, parameters: dict[str, Tensor], tokens_bs: Tensor) -> Tensor:
        hidden_bsd: Tensor = functional_call(self._call, _prefixed(parameters, self._buffers), (tokens_bs,))
        return hidden_bsd

    @property
    def _head_mvd(self) -> Tensor:
        table: Tensor = self.parameters["embedding.weight" if self._network.config.tied_head else "head.weight"]
        return table


class HiddenStates(torch.nn.Module):
    """A network whose call gives hidden states instead of logits: ``functional_call`` knows only calls."""

    def __init__(self, network: Transformer) -> None:
        super().__init__()
        self.network = network

    def forward(self, tokens_bs: Tensor) -> Tensor:
        """See ``Transformer.hidden``."""
        return self.network.hidden(tokens_bs)


def _prefixed(*states: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"network.{name}": tensor for state in states for name, tensor in state.items()}


def initial_network(config: ProxyConfig, backend: AttentionBackend) -> Transformer:
    """A network on the CPU with the initial weights of its seed."""
    network = Transformer(config.architecture, backend)
    std = config.initialization.std_at(config.architecture.base_width)
    initialize(network, config.initialization.scheme, std, config.seed)
    return network
