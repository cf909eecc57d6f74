"""A LLaMA-style decoder (arXiv 2302.13971): RMSNorm, RoPE, SwiGLU and grouped-query attention, without biases.

With ``block: pangu_pi`` its layers are those of PanGu-π (arXiv 2312.17276). A forward pass changes no tensor in place
and branches on the config alone, so that it runs under ``torch.func.vmap`` over stacked parameters.

Shapes: b batch, s sequence, d width, h query heads, k key and value heads, e channels of a head, f FFN width,
v vocabulary. A tensor's suffix names its axes: ``x_bsd`` is (batch, sequence, width).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from model.attention import AttentionBackend, attend, document_mask, last_mask
from model.config import DEFAULT_HEAD_DIM, ArchitectureConfig
from model.norm import RMSNorm, product_dtype
from model.past import KeyValues, Past
from model.tokenizer import END_OF_TEXT_ID


class Attention(nn.Module):
    """Causal self-attention with rotary positions; several query heads share a key and value head."""

    def __init__(self, config: ArchitectureConfig, backend: AttentionBackend) -> None:
        super().__init__()
        self.backend = backend
        self.head_dim = config.head_dim
        self.scale = attention_scale(config)
        kv_width = config.kv_heads * config.head_dim
        self.query = nn.Linear(config.width, config.width, bias=False)
        self.key = nn.Linear(config.width, kv_width, bias=False)
        self.value = nn.Linear(config.width, kv_width, bias=False)
        self.output = nn.Linear(config.width, config.width, bias=False)
        self.query_norm = RMSNorm(config.head_dim, config.norm_eps) if config.qk_norm else nn.Identity()
        self.key_norm = RMSNorm(config.head_dim, config.norm_eps) if config.qk_norm else nn.Identity()

    def forward(
        self,
        x_bsd: Tensor,
        cos_se: Tensor,
        sin_se: Tensor,
        mask: Tensor | None = None,
        past: KeyValues | None = None,
    ) -> Tensor:
        """Mix earlier positions into each position; ``mask`` is that of ``attend``, ``past`` goes before."""
        query_bhse = rotate(self.query_norm(self._split_heads(self.query(x_bsd))), cos_se, sin_se)
        key_bkse = rotate(self.key_norm(self._split_heads(self.key(x_bsd))), cos_se, sin_se)
        value_bkse = self._split_heads(self.value(x_bsd))
        if past is not None:
            key_bkse, value_bkse = past.append(key_bkse, value_bkse)
        mixed_bhse = attend(query_bhse, key_bkse, value_bkse, self.backend, scale=self.scale, mask=mask)
        output_bsd: Tensor = self.output(mixed_bhse.transpose(1, 2).flatten(2))
        return output_bsd

    def _split_heads(self, x_bsd: Tensor) -> Tensor:
        b, s, _ = x_bsd.shape
        return x_bsd.view(b, s, -1, self.head_dim).transpose(1, 2)


class SeriesActivation(nn.Module):
    """Σ_i silu(a_i ⊙ x + b_i) with learned a_i and b_i for each channel (arXiv 2312.17276, equation 7)."""

    def __init__(self, width: int, terms: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(terms, width))
        self.shift = nn.Parameter(torch.zeros(terms, width))

    def forward(self, x_bsf: Tensor) -> Tensor:
        """Activate each channel, in the dtype of x."""
        scale_nf, shift_nf = self.scale.to(x_bsf.dtype), self.shift.to(x_bsf.dtype)
        first, *others = (
            F.silu(torch.addcmul(shift_f, scale_f, x_bsf)) for scale_f, shift_f in zip(scale_nf, shift_nf, strict=True)
        )
        return sum(others, first)


class FeedForward(nn.Module):
    """SwiGLU: (σ(x W_gate) ⊙ x W_up) W_down (arXiv 2002.05202, equation 6); σ is silu, or in PanGu-π a series of it."""

    def __init__(self, config: ArchitectureConfig) -> None:
        super().__init__()
        width, ffn_width = config.width, config.ffn_width
        self.gate = nn.Linear(width, ffn_width, bias=False)
        self.up = nn.Linear(width, ffn_width, bias=False)
        self.down = nn.Linear(ffn_width, width, bias=False)
        self.series = SeriesActivation(ffn_width, config.activations) if config.activations > 1 else nn.SiLU()

    def forward(self, x_bsd: Tensor) -> Tensor:
        """Transform each position by itself."""
        hidden_bsf = self.series(self.gate(x_bsd)) * self.up(x_bsd)
        output_bsd: Tensor = self.down(hidden_bsf)
        return output_bsd


class AugmentedShortcut(nn.Module):
    """gelu(x W_reduce) W_restore, a bottleneck beside attention (arXiv 2312.17276, section 4.1, for equation 5)."""

    def __init__(self, width: int, bottleneck: int) -> None:
        super().__init__()
        self.reduce = nn.Linear(width, bottleneck, bias=False)
        self.restore = nn.Linear(bottleneck, width, bias=False)

    def forward(self, x_bsd: Tensor) -> Tensor:
        """Project each position by itself."""
        output_bsd: Tensor = self.restore(F.gelu(self.reduce(x_bsd)))
        return output_bsd


class Block(nn.Module):
    """One layer: attention, then the feed-forward network, each on the normed residual stream and added to it.

    PanGu-π adds an augmented shortcut to that sum beside attention, on the same normed stream (arXiv 2312.17276,
    equation 4, with T = 1).
    """

    def __init__(self, config: ArchitectureConfig, backend: AttentionBackend) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(config.width, config.norm_eps)
        self.attention = Attention(config, backend)
        bottleneck = config.shortcut_width
        self.shortcut = AugmentedShortcut(config.width, bottleneck) if bottleneck else None
        self.ffn_norm = RMSNorm(config.width, config.norm_eps)
        self.ffn = FeedForward(config)

    def forward(
        self,
        x_bsd: Tensor,
        cos_se: Tensor,
        sin_se: Tensor,
        mask: Tensor | None = None,
        past: KeyValues | None = None,
    ) -> Tensor:
        """Pass the residual stream through the layer; ``mask`` is that of ``attend``, ``past`` goes before."""
        normed_bsd = self.attention_norm(x_bsd)
        attended_bsd = x_bsd + self.attention(normed_bsd, cos_se, sin_se, mask, past)
        if self.shortcut is not None:
            attended_bsd = attended_bsd + self.shortcut(normed_bsd)
        output_bsd: Tensor = attended_bsd + self.ffn(self.ffn_norm(attended_bsd))
        return output_bsd


class Transformer(nn.Module):
    """The decoder; its initial weights are those of ``model.initialization.initialize``.

    A tied head is the embedding table itself, so that ``state_dict`` holds every tensor once. With ``recomputed``
    nothing inside a block is kept for the backward pass, which runs each block again (arXiv 1604.06174, section 3).
    """

    cos_se: Tensor
    sin_se: Tensor

    def __init__(self, config: ArchitectureConfig, backend: AttentionBackend = "sdpa") -> None:
        super().__init__()
        self.config, self.backend = config, backend
        self.recomputed = False
        self.embedding = nn.Embedding(config.vocabulary_size, config.width)
        self.blocks = nn.ModuleList(Block(config, backend) for _ in range(config.depth))
        self.norm = RMSNorm(config.width, config.norm_eps)
        self.head = None if config.tied_head else nn.Linear(config.width, config.vocabulary_size, bias=False)
        cos_se, sin_se = rotations(config.sequence_length, config.head_dim, config.rope_theta)
        self.register_buffer("cos_se", cos_se, persistent=False)
        self.register_buffer("sin_se", sin_se, persistent=False)

    @property
    def head_vd(self) -> Tensor:
        """The output projection: the embedding table where the head is tied."""
        return self.embedding.weight if self.head is None else self.head.weight

    def hidden(self, tokens_bs: Tensor, past: Past | None = None) -> Tensor:
        """Normed last hidden states ``bsd``, whose products with ``head_vd`` are the logits.

        Under muP they hold the output multiplier, base width / width (arXiv 2203.03466, table 8). With ``past`` the
        tokens follow those of the calls before, and are kept there for the next one. All of them are at most
        ``config.sequence_length``.
        """
        start = 0 if past is None else past.length
        end = start + tokens_bs.shape[1]
        x_bsd, mask = self.embedded(tokens_bs, past)
        for index, block in enumerate(self.blocks):
            of_block = None if past is None else past.of_block[index]
            arguments = (x_bsd, self.cos_se[start:end], self.sin_se[start:end], mask, of_block)
            if self.recomputed and torch.is_grad_enabled():
                x_bsd = checkpoint(block, *arguments, use_reentrant=False, preserve_rng_state=False)
            else:
                x_bsd = block(*arguments)
        if past is not None:
            past.length = end
        return self.normed(x_bsd)

    def embedded(self, tokens_bs: Tensor, past: Past | None = None) -> tuple[Tensor, Tensor | None]:
        """What goes into the first block: the residual stream ``bsd``, and the mask of ``attend``."""
        x_bsd = self.embedding(tokens_bs)
        mask = self._document_mask(tokens_bs, product_dtype(x_bsd), past) if self.config.mask_documents else None
        return x_bsd, mask

    def normed(self, x_bsd: Tensor) -> Tensor:
        """What ``hidden`` gives of the residual stream behind the last block."""
        normed_bsd: Tensor = self.norm(x_bsd)
        return normed_bsd if self.config.width_multiplier == 1 else normed_bsd / self.config.width_multiplier

    def _document_mask(self, tokens_bs: Tensor, dtype: torch.dtype, past: Past | None) -> Tensor:
        """Keep each token inside its document; END_OF_TEXT, which precedes a document, is its first token."""
        begins_bs = tokens_bs == END_OF_TEXT_ID
        if past is None:
            return document_mask(begins_bs.cumsum(1), self.backend, dtype)
        documents_bt = past.documents(begins_bs)
        return document_mask(documents_bt, self.backend, dtype) if past.length == 0 else last_mask(documents_bt, dtype)

    def forward(self, tokens_bs: Tensor) -> Tensor:
        """Logits ``bsv`` of the token that follows each position."""
        return F.linear(self.hidden(tokens_bs), self.head_vd)


def attention_scale(config: ArchitectureConfig) -> float | None:
    """Factor of the attention scores; None: the usual 1 / √e.

    muP divides by e instead (arXiv 2203.03466, definition 4.1): √e₀ / e, which is the usual factor at the default head
    width e₀ = 32 (assumed: the base network's head).
    """
    return None if config.parametrisation == "standard" else DEFAULT_HEAD_DIM**0.5 / config.head_dim


def rotations(sequence_length: int, head_dim: int, theta: float) -> tuple[Tensor, Tensor]:
    """Cosines and sines of the angles m · theta^(-2i / e) of position m and pair i (arXiv 2104.09864, equation 15).

    Returns:
        Two float32 tensors ``se`` whose last axis holds e / 2 pairs.
    """
    frequencies_e = theta ** -(torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim)
    angles_se = torch.outer(torch.arange(sequence_length, dtype=torch.float32), frequencies_e)
    return angles_se.cos(), angles_se.sin()


def rotate(x_bhse: Tensor, cos_se: Tensor, sin_se: Tensor) -> Tensor:
    """Rotate channel i and channel i + e / 2 of every head by the angles of their position, in the dtype of x.

    These are the pairs of the LLaMA weights in ``transformers``; the paper's are neighbours, a mere renaming.
    """
    cos_se, sin_se = cos_se.to(x_bhse.dtype), sin_se.to(x_bhse.dtype)
    first, second = x_bhse.chunk(2, dim=-1)
    return torch.cat((first * cos_se - second * sin_se, second * cos_se + first * sin_se), dim=-1)
