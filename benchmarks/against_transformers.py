"""Tokens a second of our loop over those of ``transformers.Trainer`` on the same network, batch and precision.

The Trainer is given the flags that make it fastest: bfloat16, fused AdamW, SDPA attention, no logging, no saving; on a
GPU torch.compile too. Rounds of both take turns, the Trainer's in processes of their own, whose allocator is as it
comes. On a CPU both have one thread.
"""

import multiprocessing
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainerCallback, TrainingArguments

from benchmarks import reference
from model.config import ArchitectureConfig
from trainer.loop import TrainingRun
from trainer.text.data import Batches

ROUNDS, STEPS, WARM_UP_STEPS = 3, 4, 3
CPU_BATCH_TOKENS = 4096


class Sequences(Dataset[dict[str, torch.Tensor]]):
    """The sequences that our loop reads, in the form that the Trainer reads."""

    def __init__(self, batches: Batches, steps: int) -> None:
        self._rows = torch.cat([torch.from_numpy(batches.batch(step))[:, :-1] for step in range(1, steps + 1)])

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {"input_ids": self._rows[index], "labels": self._rows[index]}


class Clock(TrainerCallback):  # type: ignore[misc]
    """Remembers when the steps ended."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """One optimizer step is done."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
            self.ends.append(time.perf_counter())
        else:
            self.ends.append(time.process_time())


def trainer_seconds(architecture: ArchitectureConfig, folder: str, batch_tokens: int) -> float:
    """Seconds of a step of the Trainer, after its warm-up."""
    torch.set_num_threads(1)
    data = reference.corpus(architecture, Path(folder))
    on_gpu = torch.cuda.is_available()
    config = LlamaConfig(
        vocab_size=architecture.vocabulary_size,
        hidden_size=architecture.width,
        intermediate_size=architecture.ffn_width,
        num_hidden_layers=architecture.depth,
        num_attention_heads=architecture.heads,
        num_key_value_heads=architecture.kv_heads,
        max_position_embeddings=architecture.sequence_length,
        tie_word_embeddings=architecture.tied_head,
        attn_implementation="sdpa",
        use_cache=False,
    )
    batches = Batches(data.train, architecture.sequence_length, batch_tokens, seed=0)
    clock = Clock()
    with tempfile.TemporaryDirectory() as output:
        arguments = TrainingArguments(
            output_dir=output,
            per_device_train_batch_size=batches.batch_sequences,
            max_steps=WARM_UP_STEPS + STEPS,
            learning_rate=3e-3,
            weight_decay=0.1,
            optim="adamw_torch_fused",
            bf16=True,
            use_cpu=not on_gpu,
            torch_compile=on_gpu,
            logging_strategy="no",
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            dataloader_pin_memory=on_gpu,
        )
        dataset = Sequences(batches, WARM_UP_STEPS + STEPS)
        Trainer(LlamaForCausalLM(config), arguments, train_dataset=dataset, callbacks=[clock]).train()
    return (clock.ends[-1] - clock.ends[WARM_UP_STEPS - 1]) / STEPS


def measure_cpu() -> float:
    """At 0.92M parameters, on one thread."""
    return _ratio(reference.CPU_1M, CPU_BATCH_TOKENS)


def measure_10m() -> float | None:
    """At 10M parameters on a GPU."""
    return _ratio(reference.GPU_10M, reference.GPU_BATCH_TOKENS) if torch.cuda.is_available() else None


def measure_30m() -> float | None:
    """At 30M parameters on a GPU."""
    return _ratio(reference.GPU_30M, reference.GPU_BATCH_TOKENS) if torch.cuda.is_available() else None


def _ratio(architecture: ArchitectureConfig, batch_tokens: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        data = reference.corpus(architecture, Path(folder))
        config = reference.config(architecture, batch_tokens, precision="bfloat16")
        stepper = reference.Stepper(TrainingRun(config, data), WARM_UP_STEPS)
        with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
            ratios = [
                pool.apply(trainer_seconds, (architecture, folder, batch_tokens)) / (stepper.seconds(STEPS) / STEPS)
                for _ in range(ROUNDS)
            ]
    print(f"seconds of transformers.Trainer / ours: {', '.join(f'{r:.2f}' for r in ratios)}")
    return statistics.median(ratios)
