"""To and from Hugging Face ``transformers``: as ``LlamaForCausalLM``, and with QK-norm as ``Qwen3ForCausalLM``.

What is read may come from anyone: only JSON and safetensors are opened, and any config but a plain decoder's of these
two kinds is refused.
"""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import (
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from model.attention import AttentionBackend
from model.config import ArchitectureConfig
from model.decoder_file import read_architecture
from model.errors import InvalidInput
from model.llama_weights import exchange_weights, read_weights
from model.tokenizer import END_OF_TEXT_ID, save
from model.transformer import Transformer, rotations
from model.weight_files import WEIGHTS_FILE, weight_files


def check_exportable(config: ArchitectureConfig) -> None:
    """Check that ``transformers`` has a class with this forward pass.

    Raises:
        InvalidInput: it has none.
    """
    if config.block != "llama":
        reason = f"transformers has no class for {config.block} blocks"
        raise InvalidInput("architecture.block", reason, "use the formulary format, or block: llama")


def transformers_config(config: ArchitectureConfig) -> LlamaConfig | Qwen3Config:
    """The same architecture for ``transformers``; documents begin and end with token ``END_OF_TEXT_ID``.

    Raises:
        InvalidInput: ``transformers`` has no class for it.
    """
    check_exportable(config)
    fields: dict[str, Any] = {
        "dtype": "float32",
        "vocab_size": config.vocabulary_size,
        "hidden_size": config.width,
        "intermediate_size": config.ffn_width,
        "num_hidden_layers": config.depth,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_dim,
        "max_position_embeddings": config.sequence_length,
        "rms_norm_eps": config.norm_eps,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta},
        "tie_word_embeddings": config.tied_head,
        "bos_token_id": END_OF_TEXT_ID,
        "eos_token_id": END_OF_TEXT_ID,
    }
    if config.qk_norm:
        return Qwen3Config(architectures=["Qwen3ForCausalLM"], **fields)
    return LlamaConfig(architectures=["LlamaForCausalLM"], **fields)


def to_transformers(network: Transformer) -> LlamaForCausalLM | Qwen3ForCausalLM:
    """Copy the network into the class of ``transformers``, in float32 and evaluation mode; the logits are the same.

    Raises:
        InvalidInput: ``transformers`` has no class for it.
    """
    config = transformers_config(network.config)
    weights = exchange_weights(network)
    if network.config.tied_head:
        weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
    copied: LlamaForCausalLM | Qwen3ForCausalLM
    copied = Qwen3ForCausalLM(config) if isinstance(config, Qwen3Config) else LlamaForCausalLM(config)
    copied.load_state_dict(weights)
    copied.eval()  # type: ignore[no-untyped-call]
    return copied


def write_hf_folder(network: Transformer, tokenizer: Tokenizer, folder: Path) -> None:
    """Write what ``AutoModelForCausalLM`` and ``AutoTokenizer`` load: configs, float32 weights and tokenizer.

    Raises:
        InvalidInput: the tokenizer has more tokens than the network has rows, or ``transformers`` has no class for it.
    """
    config = transformers_config(network.config)
    tokens, rows = tokenizer.get_vocab_size(), network.config.vocabulary_size
    if tokens > rows:
        raise InvalidInput("tokenizer", f"has {tokens} tokens, the network {rows}", "use the tokenizer it trained with")
    folder.mkdir(parents=True, exist_ok=True)
    config.save_pretrained(folder)
    generation = {"bos_token_id": END_OF_TEXT_ID, "eos_token_id": END_OF_TEXT_ID, "pad_token_id": END_OF_TEXT_ID}
    GenerationConfig(**generation).save_pretrained(folder)  # type: ignore[no-untyped-call]
    save_file(exchange_weights(network), folder / WEIGHTS_FILE, metadata={"format": "pt"})
    end_of_text = tokenizer.id_to_token(END_OF_TEXT_ID)
    PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        bos_token=end_of_text,
        eos_token=end_of_text,
        model_max_length=network.config.sequence_length,
        split_special_tokens=True,
        clean_up_tokenization_spaces=False,
    ).save_pretrained(folder)
    save(tokenizer, folder / "tokenizer.json")  # transformers added an empty template to its copy


def from_transformers(folder: Path, backend: AttentionBackend = "sdpa") -> Transformer:
    """Read a LLaMA or Qwen3 folder, sharded or not, into a float32 network on the CPU with the same logits.

    Raises:
        InvalidInput: the config is not that of a plain decoder, the weights are pickled, missing, broken, or do
            not fit the config.
    """
    config = read_architecture(folder / "config.json")
    with torch.device("meta"):
        network = Transformer(config, backend)
    weights = read_weights(weight_files(folder), network)
    network.load_state_dict(weights, assign=True)
    network.cos_se, network.sin_se = rotations(config.sequence_length, config.head_dim, config.rope_theta)
    return network
