"""The teacher of a run: read once, frozen, and rewritten over the student's tokens.

Its embedding and its head keep the rows of the student's tokens, in the order of the student's ids, so that it takes
the student's batches as they are and its softmax is over the same tokens. What it held beside them is left out.

Shapes: m members of a stack, b sequences, a = m · b, s positions, n = b · s, e width of the teacher, v vocabulary of
the student.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor

from model.attention import fastest_backend
from model.config import ArchitectureConfig
from model.counts import count_parameters, forward_flops_per_token
from model.errors import InvalidInput
from model.inheritance.parent import read_parent
from model.inheritance.vocabulary import map_tokens
from model.transformer import Transformer, rotations
from trainer.config import Precision
from trainer.distillation.architecture import FIELD, over_student, teacher_folder
from trainer.distillation.config import DistillationConfig
from trainer.machine.memory_estimate import FLOAT32, gib
from trainer.machine.memory_use import available_bytes
from trainer.results import Value

TABLES = ("embedding.weight", "head.weight")
"""What has a row for each token."""
SHOWN = 3
"""Missing tokens that an error names."""


class Teacher:
    """A frozen network to learn from, on a run's device and in its precision.

    Its matrices are in bfloat16 where the products are: the numbers are those of the same network under autocast,
    which would cast the matrices at every pass.
    """

    def __init__(
        self, config: DistillationConfig, network: Transformer, dtype: torch.dtype, read: ArchitectureConfig, name: str
    ) -> None:
        """``network`` is over the student's tokens, ``read`` the shape of what was read, ``name`` its fingerprint."""
        self.config, self.fingerprint = config, name
        self.network = network.requires_grad_(False).eval()
        self.head_ve = network.head_vd.to(dtype)
        """Its logits are products with it, in the order of the student's ids."""
        self._read = read

    @torch.no_grad()
    def hidden(self, tokens_mbs: Tensor) -> Tensor:
        """Last hidden states ``mne`` on the members' tokens."""
        hidden_ase = self.network.hidden(tokens_mbs.flatten(0, 1))
        return hidden_ase.view(len(tokens_mbs), -1, hidden_ase.shape[-1])

    @property
    def forward_flops_per_token(self) -> int:
        """What its predictions cost (``model.counts.forward_flops_per_token``)."""
        return forward_flops_per_token(self.network.config)

    @property
    def attributes(self) -> dict[str, Value]:
        """As runs store it."""
        known = self.config.teacher_train_flops
        return {
            "teacher_fingerprint": self.fingerprint,
            "teacher_parameters": count_parameters(self._read).total,
            **({} if known is None else {"teacher_train_flops": known}),
            "distillation_weight": self.config.weight,
            "distillation_temperature": self.config.temperature,
        }


def read_teacher(
    config: DistillationConfig,
    student: ArchitectureConfig,
    tokenizer: Tokenizer,
    device: torch.device,
    precision: Precision,
    processes: int = 1,
) -> Teacher:
    """Read the teacher of a student with this tokenizer; its width, depth and heads are its own affair.

    ``processes`` of this host, each of which calls this, read it at the same moment.

    Raises:
        InvalidInput: the folder cannot be read, does not fit the memory, was made for shorter sequences, or lacks a
            token of the student.
    """
    own = teacher_folder(config.teacher, student.sequence_length).architecture
    architecture = over_student(own, student)
    _check_readable(own, processes)
    parent = read_parent(Path(config.teacher), field=FIELD)
    ids = map_tokens(tokenizer, parent.tokenizer, own.vocabulary_size, FIELD).ids
    _check_whole(ids, tokenizer)
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    with torch.device("meta"):
        network = Transformer(architecture, fastest_backend(device, dtype, architecture))
    network.load_state_dict(_placed(parent.network.state_dict(), ids, device, dtype), assign=True)
    tables = rotations(architecture.sequence_length, architecture.head_dim, architecture.rope_theta)
    network.cos_se, network.sin_se = (table.to(device) for table in tables)
    return Teacher(config, network, dtype, own, parent.fingerprint)


def _check_readable(own: ArchitectureConfig, processes: int) -> None:
    size, available = FLOAT32 * count_parameters(own).total, available_bytes(torch.device("cpu"))
    if processes * size > available:
        each = f", which {processes} processes of this host read at once" if processes > 1 else ""
        reason = f"its weights are {gib(size)} in float32{each}, and {gib(available)} of memory are available"
        remedy = "give a smaller teacher, or run fewer trials or processes at a time"
        raise InvalidInput(FIELD, reason, remedy)


def _check_whole(ids: Sequence[int], tokenizer: Tokenizer) -> None:
    missing = [token for token, found in enumerate(ids) if found < 0]
    if missing:
        names = ", ".join(f"{tokenizer.id_to_token(token)!r:.40}" for token in missing[:SHOWN])
        reason = f"it has no token for {len(missing)} of the student's {len(ids)}, such as {names}"
        remedy = "cut the student's tokenizer out of the teacher's (proxy.tokenizer: kind: compressed)"
        raise InvalidInput(FIELD, reason, f"{remedy}, or give a teacher with the student's tokenizer")


def _placed(
    weights: Mapping[str, Tensor], ids: Sequence[int], device: torch.device, dtype: torch.dtype
) -> dict[str, Tensor]:
    """Weights over the student's tokens on the device; what is looked up or multiplies a channel stays in float32."""
    rows = torch.tensor(ids)
    placed = {}
    for name, weight in weights.items():
        of_student = weight[rows] if name in TABLES else weight
        placed[name] = of_student.to(device, dtype if weight.ndim == 2 and name != TABLES[0] else torch.float32)
    return placed
