"""A network whose weights, gradients and optimizer lie in rows across the processes of a run (FSDP2).

Fully sharded data parallelism (arXiv 2304.11277; as in ``torch.distributed.fsdp.fully_shard``, each tensor cut along
its first axis). The data is split as well: each process has an equal part of every batch, and the gradient is the mean
over all of them, so that a step does the same whatever their number, up to rounding.
"""

from collections.abc import Mapping

import torch
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor

from model.attention import AttentionBackend
from trainer.config import Precision, ProxyConfig
from trainer.criterion import Criterion
from trainer.distillation.teacher import Teacher
from trainer.machine.compilation import Mode
from trainer.optim import make_optimizer
from trainer.parallel.world import World
from trainer.program import SingleProgram, initial_network


class ShardedProgram(SingleProgram):
    """One network across the processes of ``world``; every method is a collective call.

    Blocks are gathered one after the other, in bfloat16 where the products are in it, and freed behind the pass. Table,
    last norm and head stay in float32, as does the residual stream. Gradients are reduced in float32 after every
    forward pass of an accumulated batch: nothing ever holds a whole gradient. A teacher is whole in every process.
    """

    def __init__(
        self,
        config: ProxyConfig,
        backend: AttentionBackend,
        world: World,
        precision: Precision,
        compilation: Mode,
        teacher: Teacher | None = None,
    ) -> None:
        """Draw the initial weights, the same in every process, and keep this one's rows."""
        self.criterion = Criterion(config.optimization.z_loss, teacher)
        network = initial_network(config, backend)
        mesh = init_device_mesh(world.device.type, (world.size,))
        for block in network.blocks:
            if compilation != "off":
                block.compile(dynamic=False)  # CUDA graphs would hold on to gathered weights
            _shard(block, mesh, "bfloat16" if precision == "bfloat16" else "float32")
        _shard(network, mesh, "float32")
        register_fsdp_forward_method(network, "hidden")
        self.network, self._world = network, world
        self.optimizer = make_optimizer(network, config.optimization)
        self._optimization = config.optimization

    @torch.no_grad()
    def start_from(self, member: int, weights: Mapping[str, torch.Tensor]) -> None:
        """See :class:`Program`; of whole weights each process takes its rows."""
        for name, parameter in self.network.named_parameters():
            own_part(parameter).copy_(weights[name][self._world.rows(len(parameter))])

    def nats(self, inputs_bs: torch.Tensor, targets_bs: torch.Tensor) -> torch.Tensor:
        """See :class:`Program`; of this process's texts."""
        nats_m = super().nats(inputs_bs, targets_bs)
        self.network.reshard()  # type: ignore[operator]  # no backward pass follows, which would do it
        return nats_m


def _shard(module: torch.nn.Module, mesh: DeviceMesh, dtype: Precision) -> None:
    policy = MixedPrecisionPolicy(
        param_dtype=torch.bfloat16 if dtype == "bfloat16" else None,
        reduce_dtype=torch.float32,
        cast_forward_inputs=False,
    )
    fully_shard(module, mesh=mesh, mp_policy=policy)


def own_part(tensor: torch.Tensor) -> torch.Tensor:
    """What this process holds of a tensor, without its graph: its rows where it is cut, else all of it."""
    return (tensor.to_local() if isinstance(tensor, DTensor) else tensor).detach()
