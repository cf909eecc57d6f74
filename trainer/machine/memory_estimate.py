"""Peak memory of a run, predicted from its shape alone: no torch.

Bytes are counted tensor by tensor as the loop allocates them: what autograd keeps of each block was read off
``torch.autograd.graph.saved_tensors_hooks`` and is held against it by a test, as are whole runs against the growth of
a process's resident memory.
"""

from dataclasses import dataclass

from model.backends import AttentionBackend
from model.config import ArchitectureConfig
from model.counts import count_parameters
from trainer.config import Precision, PretrainConfig, ProxyConfig
from trainer.distillation.architecture import over_student
from trainer.pieces import logits_at_once

FLOAT32, BFLOAT16 = 4, 2
STATE_BYTES = 4 * FLOAT32
"""Of each parameter: weight, gradient and AdamW's two moments, all in float32 (derived)."""
SNAPSHOT_BYTES = 3 * FLOAT32
"""Of each parameter while a shorter run has left the trunk: its weight and moments before (derived)."""
STACKED_UPDATE_BYTES = 3 * FLOAT32
"""Of each parameter of a stack while it is updated: the joined gradient, the root of its square, the step (derived)."""
CPU_ALLOCATOR_SHARE = 1.25
"""Resident memory over what tensors hold on a CPU (measured: 1.05 to 1.3; freed blocks of other sizes stay)."""
CPU_ACCUMULATION_SHARE = 0.75
"""More of the activations on a CPU where a batch is accumulated (measured: 0 to 0.8): gradients of the first forward
pass stay, and lie between what the next ones allocate."""
CPU_LIBRARY_BYTES = 112 * 2**20
"""What torch's libraries take with the first products of a process (measured: 50 to 110 MiB)."""
CUDA_ALLOCATOR_SHARE = 1.1
"""Reserved over allocated memory of the caching allocator (assumed; no run on CUDA has been measured)."""


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """Bytes at the peak of a training step, by what takes them."""

    state: int
    """Weights, gradients and moments, of which each process has its rows."""
    casts: int
    """Copies of the matrices in bfloat16, kept from the forward to the backward pass; what is gathered from others."""
    activations: int
    """What autograd keeps of one forward pass."""
    transient: int
    """What is larger of the loss and the backward pass of one block; more where a stack's update exceeds all of it."""
    overhead: int
    """Of the allocator and the libraries."""
    teacher: int = 0
    """Weights of a teacher, which every process has whole, and its last hidden states."""

    @property
    def total(self) -> int:
        """The peak."""
        return self.state + self.casts + self.activations + self.transient + self.overhead + self.teacher

    def __str__(self) -> str:
        parts = {"weights and optimizer": self.state + self.casts, "activations": self.activations}
        parts |= {"teacher": self.teacher} if self.teacher else {}
        parts |= {"loss or backward pass": self.transient, "allocator and libraries": self.overhead}
        return f"{gib(self.total)} ({', '.join(f'{name} {gib(size)}' for name, size in parts.items())})"


def block_bytes_per_token(config: ArchitectureConfig, backend: AttentionBackend, precision: Precision) -> int:
    """What autograd keeps of one block, in bytes a token.

    In float32 what each of the two norms divides or has divided, and the same of queries and keys where they are
    normed; in the products' type the input of each matrix, the rotated heads, the mixed values, and the
    vectors of SwiGLU. Plain products expand keys and values to all heads and keep the attention weights, h S; the fused
    kernels keep their output and one float32 a head. PanGu-π adds its activations and the middle of the shortcut.
    """
    size = _size(precision)
    width, kv_width = config.width, config.kv_heads * config.head_dim
    norms = FLOAT32 * (2 * width + 2)
    if config.qk_norm:
        norms += FLOAT32 * (width + kv_width + config.heads + config.kv_heads)
    inputs = size * (3 * width + 2 * config.shortcut_width)
    ffn = size * config.ffn_width * (4 if config.activations == 1 else 4 + config.activations)
    if backend == "matmul":
        attention = size * (3 * width + config.heads * config.sequence_length)
    else:
        attention = size * (2 * width + 2 * kv_width) + FLOAT32 * config.heads
    return norms + inputs + attention + ffn


def estimate_memory(
    config: ProxyConfig,
    micro_batch_tokens: int,
    backend: AttentionBackend,
    precision: Precision,
    device_type: str,
    members: int = 1,
    processes: int = 1,
    recomputed: bool = False,
    teacher: ArchitectureConfig | None = None,
) -> MemoryEstimate:
    """Predict the peak of a training step in one process.

    Evaluation needs less: it runs the same forward passes and keeps no activations.

    Args:
        config: the run; its batch is accumulated from forward passes of ``micro_batch_tokens``.
        micro_batch_tokens: tokens of one forward pass, of each member.
        backend: of attention.
        precision: ``float32`` or ``bfloat16``.
        device_type: ``cpu`` or ``cuda``, whose allocators differ.
        members: networks that are trained as one program.
        processes: among which one network is cut (``trainer.parallel.sharded``).
        recomputed: whether a block keeps only what goes into it.
        teacher: the network that the members learn from, as it is read; it is then cut to their tokens.
    """
    architecture = config.architecture
    counts = count_parameters(architecture)
    tokens = min(micro_batch_tokens, config.optimization.batch_tokens)
    block = block_bytes_per_token(architecture, backend, precision)
    once = (FLOAT32 + _size(precision)) * architecture.width
    if architecture.mask_documents:
        once += _size(precision) * architecture.sequence_length
    state = members * counts.total * (STATE_BYTES + (SNAPSHOT_BYTES if config.annealed_evaluations else 0))
    casts = members * (counts.total - counts.norm) * BFLOAT16 if precision == "bfloat16" else 0
    if isinstance(config, PretrainConfig) and device_type == "cpu":
        state += counts.total * SNAPSHOT_BYTES  # a checkpoint's copy, which is written while the run goes on
    if processes > 1:
        state, casts = state // processes, _gathered_bytes(architecture, precision)
    activations = members * tokens * (architecture.depth * block + once)
    update = members * counts.total * (STACKED_UPDATE_BYTES if members > 1 else 0)
    block_backward = tokens * _backward_bytes_per_token(architecture, backend, precision)
    if recomputed:
        activations = members * tokens * (architecture.depth * FLOAT32 * architecture.width + once)
        block_backward += tokens * block
    loss = _loss_bytes(architecture, tokens, precision, device_type, teacher is not None)
    transient = max(members * max(loss, block_backward), update - casts - activations)
    cut = over_student(teacher, architecture) if teacher else None
    taught, predicting = _teacher_bytes(cut, members * tokens, backend, precision)
    reading = _reading_bytes(teacher, precision) if device_type == "cpu" else 0
    transient = max(transient, predicting - activations, reading - state - casts - activations)
    overhead = _overhead(state + casts + activations + transient + taught, device_type)
    if device_type == "cpu" and tokens < config.optimization.batch_tokens:
        overhead += round(CPU_ACCUMULATION_SHARE * activations)
    return MemoryEstimate(state, casts, activations, transient, overhead, taught)


def _teacher_bytes(
    teacher: ArchitectureConfig | None, tokens: int, backend: AttentionBackend, precision: Precision
) -> tuple[int, int]:
    """What a teacher holds through a step, and what its pass takes before the students' begins.

    It holds its weights, the matrices in the type of the products, a tied head beside its table where these differ, and
    its last hidden states. A pass without a graph has the vectors of one block at once, as many as a backward pass.
    """
    if teacher is None:
        return 0, 0
    counts, size = count_parameters(teacher), _size(precision)
    products = counts.total - counts.norm - counts.embedding
    if teacher.tied_head and precision == "bfloat16":
        products += counts.embedding
    weights = FLOAT32 * (counts.embedding + counts.norm) + size * products
    hidden = size * tokens * teacher.width
    return weights + hidden, tokens * _backward_bytes_per_token(teacher, backend, precision)


def estimate_inheritance(
    parent: ArchitectureConfig, student: ArchitectureConfig, tokens: int, precision: Precision, device_type: str
) -> int:
    """Predict the peak of taking a network's weights from a parent, in bytes; it is over before training begins.

    Parent and student in float32; what a gradient of gates keeps: the gated matrices with their gradients, which are
    the embedding and two of each block, all matrices in bfloat16 where products are, and the activations of ``tokens``,
    as in training, with the hidden states that are predicted from.
    """
    backend: AttentionBackend = "matmul" if device_type == "cpu" and precision == "bfloat16" else "sdpa"
    counts = count_parameters(parent)
    weights = FLOAT32 * (counts.total + count_parameters(student).total)
    embedding = parent.vocabulary_size * parent.width
    matrices = counts.total - counts.norm - counts.embedding - counts.head + embedding
    gated = embedding + parent.depth * parent.width * (parent.width + parent.ffn_width)
    block = block_bytes_per_token(parent, backend, precision)
    activations = tokens * (parent.depth * block + (FLOAT32 + 2 * _size(precision)) * parent.width)
    tensors = (
        weights
        + 2 * FLOAT32 * gated
        + (BFLOAT16 * matrices if precision == "bfloat16" else 0)
        + activations
        + _loss_bytes(parent, tokens, precision, device_type, distilled=False)
    )
    return tensors + _overhead(tensors, device_type)


def _gathered_bytes(config: ArchitectureConfig, precision: Precision) -> int:
    """What a process holds of a network that is cut, beside its own rows: table, last norm and head whole, with their
    gradients and their cast; two blocks whole, since the next is gathered ahead; the gradient of one, and its cast.
    """
    counts = count_parameters(config)
    outer = counts.embedding + counts.head + config.width
    block = (counts.total - outer) // config.depth
    return outer * (2 * FLOAT32 + _size(precision)) + block * (3 * _size(precision) + FLOAT32)


def _reading_bytes(teacher: ArchitectureConfig | None, precision: Precision) -> int:
    """What reading a teacher takes beside what it holds then: it is read in float32 with the rows of all of its own
    tokens, before the students are made.
    """
    if teacher is None:
        return 0
    counts = count_parameters(teacher)
    return FLOAT32 * (counts.embedding + counts.head if precision == "float32" else counts.total)


def _loss_bytes(
    config: ArchitectureConfig, tokens: int, precision: Precision, device_type: str, distilled: bool
) -> int:
    """Of the fused loss: one piece of logits with its gradient, and the gradients of hidden states and head, both of
    them before and after they are scaled. With a teacher its logits too, and both distributions with their difference.
    """
    logits = min(logits_at_once(device_type), tokens * config.vocabulary_size)
    piece = logits * (FLOAT32 + 2 * _size(precision))
    if distilled:
        piece += logits * (_size(precision) + 3 * FLOAT32)
    return piece + config.width * (2 * _size(precision) * tokens + 2 * FLOAT32 * config.vocabulary_size)


def _size(precision: Precision) -> int:
    return FLOAT32 if precision == "float32" else BFLOAT16


def _backward_bytes_per_token(config: ArchitectureConfig, backend: AttentionBackend, precision: Precision) -> int:
    """Gradients alive at once in a block: of SwiGLU's three vectors, or of the attention weights and scores."""
    ffn = 3 * config.ffn_width
    scores = 2 * config.heads * config.sequence_length if backend == "matmul" else 0
    return _size(precision) * max(ffn, scores) + 2 * FLOAT32 * config.width


def _overhead(tensors: int, device_type: str) -> int:
    if device_type == "cuda":
        return round(tensors * (CUDA_ALLOCATOR_SHARE - 1))
    return round(tensors * (CPU_ALLOCATOR_SHARE - 1)) + CPU_LIBRARY_BYTES


def gib(size: float) -> str:
    """A number of bytes for a sentence, e.g. ``1.50 GiB``."""
    return f"{size / 2**30:.2f} GiB"
