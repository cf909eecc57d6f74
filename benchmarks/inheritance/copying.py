"""What the copying of weights had to decide, measured on a trained parent: students that are not trained at all.

``python -m benchmarks.inheritance.copying PARENT STORAGE [VOCABULARY]`` reads a folder that was trained on the built-in
corpus and prints bits per byte of

* narrower students whose norms' gains are multiplied by (d / d')^a,
* for an untied parent, tied students whose table is joined in several ways,
* students of another vocabulary whose missing tokens start in several ways.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from model.config import ArchitectureConfig
from model.errors import InvalidInput
from model.inheritance.copying import inherit_weights
from model.inheritance.folder import parent_folder
from model.inheritance.parent import read_parent
from model.inheritance.scores import l1, l2, random
from model.inheritance.selection import select
from model.inheritance.shapes import check_inheritable
from model.inheritance.units import Scores
from model.inheritance.vocabulary import TokenMap, map_tokens
from model.tokenizer.source import Source
from model.transformer import Transformer
from trainer.config import BuiltinCorpus
from trainer.evaluate import Evaluator
from trainer.loss import head_nats
from trainer.parallel.world import alone
from trainer.text.data import PreparedData, prepare

VALIDATION_BYTES = 60_000
SHARES = (5 / 6, 2 / 3, 1 / 2)
"""Of the parent's width."""
EXPONENTS = (-0.5, -0.25, 0.0, 0.25, 0.5, 1.0)
SCORES: dict[str, Callable[[Transformer], Scores]] = {"random": lambda parent: random(parent, 0), "l1": l1, "l2": l2}
SEQUENCES = 32


def bits_per_byte(network: Transformer, data: PreparedData) -> float:
    """Of the validation text."""

    def nats(inputs_bs: Tensor, targets_bs: Tensor) -> Tensor:
        hidden_nd = network.hidden(inputs_bs).flatten(0, 1)
        return head_nats(hidden_nd[None], network.head_vd[None], targets_bs.flatten()[None])

    evaluator = Evaluator(data, network.config.sequence_length, SEQUENCES, alone())
    return evaluator.evaluate(nats, "float32")[0].bits_per_byte


def narrower(parent: ArchitectureConfig) -> Iterator[ArchitectureConfig]:
    """Students of less width that can inherit, with as many key heads as there can be."""
    for share in SHARES:
        heads = round(parent.heads * share)
        for kv_heads in range(min(heads, parent.kv_heads), 0, -1):
            if heads % kv_heads:
                continue
            student = parent.model_copy(update={"width": heads * parent.head_dim, "kv_heads": kv_heads})
            try:
                check_inheritable(parent, student)
            except InvalidInput:
                continue
            yield student
            break


def print_gains(parent: Transformer, token_map: TokenMap, data: PreparedData) -> None:
    """Bits per byte by the exponent of d / d' on the gains of the stream's norms."""
    print("width, scores, bits per byte with gains times (d / d')^a for a =", *EXPONENTS)
    for config in narrower(parent.config):
        for name, score in SCORES.items():
            selection = select(score(parent), parent.config, config, range(config.depth))
            values = []
            for exponent in EXPONENTS:
                student = Transformer(config)
                inherit_weights(student, parent, selection, token_map)
                for norm, gain in student.named_parameters():
                    if norm.endswith(("attention_norm.gain", "ffn_norm.gain")) or norm == "norm.gain":
                        gain.data.mul_((parent.config.width / config.width) ** exponent)
                values.append(bits_per_byte(student, data))
            print(f"  {config.width:4d} {name:7s}", *(f"{value:.3f}" for value in values), flush=True)


def print_joined(parent: Transformer, token_map: TokenMap, data: PreparedData) -> None:
    """Bits per byte of a tied student by how its table is made of an untied parent's two."""
    config = parent.config.model_copy(update={"tied_head": True})
    student = Transformer(config)
    inherit_weights(student, parent, select(l1(parent), parent.config, config, range(config.depth)), token_map)
    embedding, head = parent.embedding.weight.detach(), parent.head_vd.detach()
    cosine = torch.cosine_similarity(embedding, head).mean().item()
    print(f"untied: parent {bits_per_byte(parent, data):.3f}, mean cosine of the two rows of a token {cosine:.3f}")
    tables = {"joined": student.embedding.weight.detach().clone(), "embedding": embedding, "head": head}
    for name, table in {**tables, "mean": (embedding + head) / 2, "sum": embedding + head}.items():
        student.embedding.weight.data.copy_(table)
        print(f"  tied, {name:9s} {bits_per_byte(student, data):.3f}", flush=True)


def starts(parent: Tensor, token_map: TokenMap) -> dict[str, Tensor]:
    """The student's table by how tokens without a counterpart start."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(len(token_map.ids), parent.shape[1], generator=generator) * parent.std()
    by_name: dict[str, Callable[[int, tuple[int, ...]], Tensor]] = {
        "mean of the pieces": lambda token, pieces: parent[list(pieces)].mean(0),
        "first piece": lambda token, pieces: parent[pieces[0]],
        "last piece": lambda token, pieces: parent[pieces[-1]],
        "sum / root of number": lambda token, pieces: parent[list(pieces)].sum(0) / len(pieces) ** 0.5,
        "mean of all": lambda token, pieces: parent.mean(0),
        "drawn": lambda token, pieces: drawn[token],
    }
    tables = {}
    for name, start in by_name.items():
        tables[name] = token_map.blend(parent)
        for token, pieces in token_map.pieces.items():
            tables[name][token] = start(token, pieces or tuple(range(len(parent))))
    return tables


def print_vocabulary(parent: Transformer, tokenizer: Source | None, size: int, storage: Path) -> None:
    """Bits per byte of a student with another tokenizer, otherwise the parent."""
    data = prepare(BuiltinCorpus(), size, VALIDATION_BYTES, storage)
    token_map = map_tokens(data.tokenizer, tokenizer, parent.config.vocabulary_size)
    config = parent.config.model_copy(update={"vocabulary_size": size})
    student = Transformer(config)
    inherit_weights(student, parent, select(l1(parent), parent.config, config, range(config.depth)), token_map)
    print(f"vocabulary {size} of {parent.config.vocabulary_size}: {token_map.share:.1%} of its tokens are the parent's")
    heads = starts(parent.head_vd.detach(), token_map)
    for name, table in starts(parent.embedding.weight.detach(), token_map).items():
        student.embedding.weight.data.copy_(table)
        if student.head is not None:
            student.head.weight.data.copy_(heads[name])
        print(f"  {name:21s} {bits_per_byte(student, data):.3f}", flush=True)


def main(folder: str, storage: str, *sizes: str) -> None:
    """Print the tables."""
    parent = read_parent(Path(folder))
    config, tokenizer = parent.network.config, parent_folder(Path(folder)).tokenizer
    data = prepare(BuiltinCorpus(), config.vocabulary_size, VALIDATION_BYTES, Path(storage), tokenizer)
    token_map = map_tokens(data.tokenizer, parent.tokenizer, config.vocabulary_size)
    print(f"parent {bits_per_byte(parent.network, data):.3f} bits per byte")
    print_gains(parent.network, token_map, data)
    if parent.network.head is not None:
        print_joined(parent.network, token_map, data)
    for size in sizes:
        print_vocabulary(parent.network, parent.tokenizer, int(size), Path(storage))


if __name__ == "__main__":
    main(*sys.argv[1:])
