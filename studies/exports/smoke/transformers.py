"""Try what transformers loads: config, tokenizer and weights, without remote code, and a forward pass."""

from pathlib import Path
from typing import Any

from studies.exports.run import Run
from studies.exports.smoke.counting import check_count
from studies.exports.smoke.result import SmokeTest, SmokeTestFailed
from trainer.machine.software import installed_versions

TEXT = "The quick brown fox jumps over the lazy dog. 0123456789\n"
MAX_TOKENS = 16
"""Longest text of the forward pass."""


def smoke(run: Run, folder: Path, storage: Path) -> SmokeTest:
    """Load the folder with ``AutoModelForCausalLM`` and ``AutoTokenizer``, from its files alone.

    Imports torch when called.

    Raises:
        SmokeTestFailed: a weight is missing or left over, the logits are not finite, or the tokenizer is another.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # type: ignore[no-untyped-call]

    own = {"local_files_only": True, "trust_remote_code": False}
    tokenizer = AutoTokenizer.from_pretrained(folder, **own)
    ids = tokenizer(TEXT)["input_ids"]
    if len(tokenizer) != run.config.architecture.vocabulary_size or tokenizer.decode(ids) != TEXT:
        raise SmokeTestFailed("hf", f"its tokenizer has {len(tokenizer)} tokens, or changes a text")
    loaded: Any = AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True, output_loading_info=True, **own)
    network, loading = loaded
    problems = {kind: sorted(map(str, found)) for kind, found in loading.items() if found}
    if problems:
        raise SmokeTestFailed("hf", f"transformers does not find its weights as they are: {problems}")
    tokens_bs = torch.tensor([ids[: min(MAX_TOKENS, run.config.architecture.sequence_length)]])
    with torch.no_grad():
        logits_bsv = network(tokens_bs).logits
    if not bool(logits_bsv.isfinite().all()):
        raise SmokeTestFailed("hf", "its logits are not finite")
    check_count("hf", network.num_parameters(), run.config.architecture)
    name = type(network).__name__
    return SmokeTest(
        method="loading",
        software=f"transformers {installed_versions(['transformers'])['transformers']}",
        done=(
            f"{name} loaded config and weights, none missing and none left over, without remote code.",
            "The tokenizer gave a text back unchanged.",
            f"A forward pass over {tokens_bs.shape[1]} tokens gave finite logits.",
        ),
        parameters=network.num_parameters(),
    )
