"""Taking a student's weights from a parent: layers and units are measured, chosen and copied."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer

from model.attention import fastest_backend
from model.config import ArchitectureConfig
from model.errors import InvalidInput
from model.inheritance import scores
from model.inheritance.copying import inherit_weights
from model.inheritance.folder import ParentFolder
from model.inheritance.layers import LayerImportance, choose_layers
from model.inheritance.parent import Parent, read_parent
from model.inheritance.selection import select
from model.inheritance.shapes import FIELD
from model.inheritance.units import Scores
from model.inheritance.vocabulary import TokenMap, map_tokens
from model.llama_weights import llama_weights
from model.transformer import Transformer
from model.weight_files import WEIGHTS_FILE
from trainer.cache import cached_folder, content_key
from trainer.config import Precision
from trainer.inheritance.calibration import (
    CalibrationText,
    calibration_texts,
    parents_tokens,
    students_tokens,
)
from trainer.inheritance.config import InheritanceConfig, NeuronMethod
from trainer.inheritance.cost import MICRO_BATCH_TOKENS, importance_flops_per_token, score_flops
from trainer.inheritance.gates import GatedParent
from trainer.inheritance.importance import bits_per_byte, layer_importance
from trainer.inheritance.mask import learned_mask, step_tokens
from trainer.inheritance.record import (
    FORMAT,
    RECORD_FILE,
    TABLE_FILE,
    InheritanceRecord,
    Kept,
    read_table,
    record_folder,
)
from trainer.inheritance.taylor import taylor_scores
from trainer.machine.memory import check_inheritance_memory
from trainer.text.cached_corpus import CachedCorpus


@dataclass(frozen=True)
class Making:
    """One inheritance, from the files to the student's weights; what it reads and computes, it does once."""

    folder: ParentFolder
    fingerprint: str
    """Of the parent's files."""
    student: ArchitectureConfig
    settings: InheritanceConfig
    seed: int
    """Of random scores and of a learned mask."""
    corpus: CachedCorpus
    tokenizer: Tokenizer
    """The student's."""
    precision: Precision
    """``float32`` or ``bfloat16``."""
    device: torch.device

    def write(self, folder: Path, key: str) -> None:
        """Write the student's weights, and the record of how they came about, which names the key.

        Raises:
            InvalidInput: the parent cannot be read or does not fit, its loss is no finite number, or the memory does
                not suffice.
        """
        started = time.perf_counter()
        tokens = max(MICRO_BATCH_TOKENS, self.context)
        check_inheritance_memory(self.shape, self.student, tokens, self.precision, self.device)
        student = self.pruned()
        record = self.record(student, key, started)
        (folder / RECORD_FILE).write_text(record.model_dump_json(indent=2), encoding="utf-8")
        save_file(llama_weights(student), folder / WEIGHTS_FILE)

    def record(self, student: Transformer, key: str, started: float) -> InheritanceRecord:
        """What is kept beside the weights; ``started`` is the counter of seconds at the beginning."""
        own_text = students_tokens(self._texts, self.tokenizer, self.context)
        return InheritanceRecord(
            key=key,
            neurons=self.settings.neurons,
            layer_method=self.settings.layers,
            parent_fingerprint=self.fingerprint,
            parent=self.folder.architecture,
            importance=self.importance,
            layers=self.layers,
            kept=Kept.of(self.folder.architecture, self.student),
            token_share=self.token_map.share,
            calibration_bytes=self.text.text_bytes,
            parent_bits_per_byte=self.parent_bits_per_byte(),
            bits_per_byte=bits_per_byte(student.to(self.device), own_text, self.precision),
            importance_flops=self.importance_flops(),
            score_flops=self.score_flops(),
            seconds=time.perf_counter() - started,
        )

    def pruned(self) -> Transformer:
        """The student at its initial weights, on the CPU."""
        selection = select(self.scores(), self.folder.architecture, self.student, self.layers)
        student = Transformer(self.student)
        inherit_weights(student, self.parent.network, selection, self.token_map)
        return student

    @property
    def context(self) -> int:
        """Tokens of a window: the student's sequence length, as far as the parent reaches."""
        return min(self.folder.architecture.sequence_length, self.student.sequence_length)

    @property
    def shape(self) -> ArchitectureConfig:
        """The parent's, at the length of a window."""
        return self.folder.architecture.model_copy(update={"sequence_length": self.context})

    @cached_property
    def parent(self) -> Parent:
        """The parent, its network on the device.

        Raises:
            InvalidInput: it cannot be read, or its files changed since they were fingerprinted.
        """
        dtype = torch.bfloat16 if self.precision == "bfloat16" else torch.float32
        parent = read_parent(self.folder.path, fastest_backend(self.device, dtype, self.shape))
        if parent.fingerprint != self.fingerprint:
            raise InvalidInput(FIELD, f"the files in {self.folder.path} changed meanwhile", "try again")
        parent.network.to(self.device).requires_grad_(False)
        return parent

    @cached_property
    def token_map(self) -> TokenMap:
        """Where the student's tokens are in the parent's tables."""
        return map_tokens(self.tokenizer, self.parent.tokenizer, self.folder.architecture.vocabulary_size)

    @cached_property
    def text(self) -> CalibrationText:
        """The calibration text as tokens of the parent."""
        assert self.parent.tokenizer is not None  # checks.check_inheritance
        rows = self.folder.architecture.vocabulary_size
        return parents_tokens(self._texts, self.parent.tokenizer, rows, self.context)

    @cached_property
    def _texts(self) -> tuple[str, ...]:
        return calibration_texts(self.corpus, self.settings.calibration_bytes)

    @cached_property
    def importance(self) -> LayerImportance | None:
        """Of the parent's layers, from the cache where it is there; None where layers are not chosen by it."""
        if self.settings.layers != "importance":
            return None
        key = content_key(
            FORMAT,
            self.fingerprint,
            self.corpus.fingerprint,
            self.corpus.validation_bytes,
            self.settings.calibration_bytes,
            self.context,
            self.precision,
        )

        def write(folder: Path) -> None:
            importance = layer_importance(self.parent.network, self.text, self.precision)
            (folder / TABLE_FILE).write_text(importance.model_dump_json(indent=2), encoding="utf-8")

        folder = record_folder(self.corpus.storage, f"layers-{key}")
        cached_folder(folder, lambda path: read_table(path) is not None, write)
        importance = read_table(folder)
        if importance is None:
            raise InvalidInput("inherit", f"{folder} was changed by another program", "try again")
        return importance

    @cached_property
    def layers(self) -> tuple[int, ...]:
        """Of the parent, that are kept."""
        return choose_layers(self.settings.layers, self.importance, self.folder.architecture.depth, self.student.depth)

    def scores(self) -> Scores:
        """Worth of the parent's units, by the method; those that need text are of the kept layers alone."""
        return _SCORES[self.settings.neurons](self)

    def gated(self, width: int) -> GatedParent:
        """The parent's kept layers with gates, of which ``width`` channels will be open."""
        return GatedParent(self.parent.network, self.layers, self.student, width)

    def parent_bits_per_byte(self) -> float:
        """Of the whole parent."""
        if self.importance is not None:
            return self.importance.bits_per_byte
        return bits_per_byte(self.parent.network, self.text, self.precision)

    def importance_flops(self) -> float:
        """Of the table of layers, whether it was computed here or found."""
        return 0.0 if self.importance is None else self.text.tokens * importance_flops_per_token(self.shape)

    def score_flops(self) -> float:
        """Of scores on text, counted as training steps of the kept layers."""
        trained = self.settings.mask_steps * step_tokens(self.text)
        return score_flops(self.shape, self.settings.neurons, len(self.layers), self.text.tokens, trained)


def _random(making: Making) -> Scores:
    return scores.random(making.parent.network, making.seed)


def _l1(making: Making) -> Scores:
    return scores.l1(making.parent.network)


def _l2(making: Making) -> Scores:
    return scores.l2(making.parent.network)


def _taylor(making: Making) -> Scores:
    return taylor_scores(making.gated(making.shape.width), making.text, making.precision)


def _learned_mask(making: Making) -> Scores:
    gated = making.gated(making.student.width)
    return learned_mask(gated, making.student, making.text, making.settings.mask_steps, making.seed, making.precision)


_SCORES: Mapping[NeuronMethod, Callable[[Making], Scores]] = {
    "random": _random,
    "l1": _l1,
    "l2": _l2,
    "taylor": _taylor,
    "learned_mask": _learned_mask,
}
