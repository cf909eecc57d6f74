import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM, Qwen3ForCausalLM

from model.config import ArchitectureConfig
from model.decoder_file import read_architecture
from model.errors import InvalidInput
from model.hf import from_transformers, to_transformers, transformers_config, write_hf_folder
from model.initialization import initialize
from model.llama_weights import llama_weights, load_weights
from model.tokenizer import END_OF_TEXT, train_tokenizer
from model.transformer import Transformer

DOCUMENTS = [Path(json.__file__).read_text(encoding="utf-8")]
TOKENIZER = train_tokenizer(DOCUMENTS, 300)
CONFIGS = {
    "tied": ArchitectureConfig(vocabulary_size=300, depth=3, width=32, ffn_width=45, head_dim=8, sequence_length=20),
    "untied, grouped": ArchitectureConfig(
        vocabulary_size=300,
        depth=2,
        width=48,
        ffn_width=31,
        head_dim=8,
        kv_heads=2,
        tied_head=False,
        sequence_length=20,
        rope_theta=500.0,
        norm_eps=0.01,
    ),
    "tied, one key head": ArchitectureConfig(
        vocabulary_size=301, depth=1, width=24, ffn_width=7, head_dim=6, kv_heads=1, sequence_length=20
    ),
}
CONFIGS["qk_norm"] = CONFIGS["untied, grouped"].model_copy(update={"qk_norm": True})
MUP_CONFIGS = {
    name: CONFIGS[like].model_copy(update={"mup_base_width": 12})
    for name, like in (("mup, tied", "tied"), ("mup, untied", "untied, grouped"), ("mup, qk_norm", "qk_norm"))
}
each_config = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())


def network(config: ArchitectureConfig) -> Transformer:
    built = Transformer(config)
    initialize(built, "constant", 0.2, seed=3)
    generator = torch.Generator().manual_seed(5)
    for name, gain in built.named_parameters():
        if name.endswith("gain"):
            torch.nn.init.uniform_(gain, 0.5, 1.5, generator)
    return built


def assert_same_logits(ours: Transformer, llama: Any) -> None:
    tokens = torch.randint(300, (2, 20), generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        torch.testing.assert_close(ours(tokens), llama(tokens).logits, atol=1e-5, rtol=1e-5)


@each_config
def test_to_transformers_keeps_the_logits(config: ArchitectureConfig) -> None:
    ours = network(config)
    llama = to_transformers(ours)
    assert_same_logits(ours, llama)
    assert sum(weight.numel() for weight in llama.parameters()) == sum(weight.numel() for weight in ours.parameters())


@each_config
def test_the_folder_loads_in_transformers_and_here(config: ArchitectureConfig, tmp_path: Path) -> None:
    ours = network(config)
    write_hf_folder(ours, TOKENIZER, tmp_path)
    llama = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert isinstance(llama, Qwen3ForCausalLM if config.qk_norm else LlamaForCausalLM)
    assert llama.dtype == torch.float32
    assert_same_logits(ours, llama)
    back = from_transformers(tmp_path)
    assert back.config == config
    for name, weight in ours.state_dict().items():
        assert torch.equal(weight, back.state_dict()[name])
    assert_same_logits(back, llama)


@pytest.mark.parametrize("config", MUP_CONFIGS.values(), ids=MUP_CONFIGS.keys())
def test_mup_is_folded_into_the_weights_of_the_folder(config: ArchitectureConfig, tmp_path: Path) -> None:
    ours = network(config)
    assert_same_logits(ours, to_transformers(ours))
    write_hf_folder(ours, TOKENIZER, tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert_same_logits(ours, loaded)
    back = from_transformers(tmp_path)
    assert back.config == config.model_copy(update={"mup_base_width": None})
    assert_same_logits(back, loaded)
    with pytest.raises(InvalidInput, match=r"weights: .* does not belong to the config"):
        load_weights(Transformer(config), tmp_path / "model.safetensors")


def test_weights_of_a_mup_network_come_back_unfolded_and_no_llama_takes_them(tmp_path: Path) -> None:
    ours, again = network(MUP_CONFIGS["mup, tied"]), Transformer(MUP_CONFIGS["mup, tied"])
    save_file(llama_weights(ours), tmp_path / "model.safetensors")
    load_weights(again, tmp_path / "model.safetensors")
    assert all(torch.equal(weight, again.state_dict()[name]) for name, weight in ours.state_dict().items())
    with pytest.raises(InvalidInput, match=r"weights: mup\.model.* does not belong to the config"):
        load_weights(Transformer(CONFIGS["tied"]), tmp_path / "model.safetensors")


def test_a_pangu_pi_network_has_files_of_its_own_and_no_class_in_transformers(tmp_path: Path) -> None:
    config = CONFIGS["qk_norm"].model_copy(update={"block": "pangu_pi"})
    ours, again = network(config), Transformer(config)
    save_file(llama_weights(ours), tmp_path / "model.safetensors")
    load_weights(again, tmp_path / "model.safetensors")
    assert all(torch.equal(weight, again.state_dict()[name]) for name, weight in ours.state_dict().items())
    for refused in (lambda: to_transformers(ours), lambda: write_hf_folder(ours, TOKENIZER, tmp_path / "hf")):
        with pytest.raises(InvalidInput, match=r"^architecture.block: .*pangu_pi blocks; use the formulary format"):
            refused()
    assert not (tmp_path / "hf").exists()


@pytest.fixture(scope="module")
def loaded_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("tokenizer")
    write_hf_folder(network(CONFIGS["tied"]), TOKENIZER, folder)
    return AutoTokenizer.from_pretrained(folder)


@given(st.text())
@settings(max_examples=100, deadline=None)
def test_the_folder_gives_the_same_token_ids(loaded_tokenizer: Any, text: str) -> None:
    assert_same_ids(loaded_tokenizer, text)


def test_the_folder_has_the_same_special_token(loaded_tokenizer: Any) -> None:
    assert (loaded_tokenizer.bos_token_id, loaded_tokenizer.eos_token_id) == (0, 0)
    assert_same_ids(loaded_tokenizer, f"one{END_OF_TEXT}two  three {DOCUMENTS[0]}")


def assert_same_ids(loaded: Any, text: str) -> None:
    ids = loaded(text).input_ids
    assert ids == TOKENIZER.encode(text).ids
    assert loaded.decode(ids) == text


def test_the_folder_generates_and_stops_at_the_end_of_text(tmp_path: Path) -> None:
    write_hf_folder(network(CONFIGS["tied"]), TOKENIZER, tmp_path)
    llama = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert llama.generation_config.eos_token_id == llama.generation_config.pad_token_id == 0
    prompt = torch.tensor([[0, 5, 6]])
    generated: Any = llama.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=4, do_sample=False)
    greedy = prompt
    for _ in range(4):
        greedy = torch.cat([greedy, network(CONFIGS["tied"])(greedy)[:, -1:].argmax(-1)], dim=1)
    assert generated.tolist() == greedy.tolist()


def test_a_tokenizer_larger_than_the_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="tokenizer: has 301 tokens, the network 300"):
        write_hf_folder(network(CONFIGS["tied"]), train_tokenizer(DOCUMENTS, 301), tmp_path)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shard_size", ["50GB", "20KB"])
@pytest.mark.parametrize("kind", ["untied, grouped", "qk_norm"])
def test_a_foreign_parent_is_read(kind: str, dtype: torch.dtype, shard_size: str, tmp_path: Path) -> None:
    parent = (Qwen3ForCausalLM if kind == "qk_norm" else LlamaForCausalLM)(transformers_config(CONFIGS[kind])).to(dtype)
    parent.save_pretrained(tmp_path, max_shard_size=shard_size)
    assert (tmp_path / "model.safetensors.index.json").exists() is (shard_size == "20KB")
    ours = from_transformers(tmp_path, backend="matmul")
    assert all(weight.dtype == torch.float32 for weight in ours.parameters())
    assert_same_logits(ours, parent.float().eval())


def test_a_config_of_the_first_release_is_read(tmp_path: Path) -> None:
    config = LlamaConfig(
        vocab_size=300, hidden_size=32, intermediate_size=40, num_hidden_layers=1, num_attention_heads=4
    )
    parent = LlamaForCausalLM(config).eval()
    weights = dict(parent.state_dict()) | {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.zeros(4)}
    save_file(weights, tmp_path / "model.safetensors")
    old = {"model_type": "llama", "vocab_size": 300, "hidden_size": 32, "intermediate_size": 40}
    old |= {"num_hidden_layers": 1, "num_attention_heads": 4, "rms_norm_eps": 1e-6, "rope_scaling": None}
    (tmp_path / "config.json").write_text(json.dumps(old))
    assert_same_logits(from_transformers(tmp_path), parent)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_hf_folder(network(CONFIGS["tied"]), TOKENIZER, tmp_path)
    return tmp_path


REFUSED = [
    ("model_type", "mistral"),
    ("model_type", None),
    ("architectures", ["LlamaForSequenceClassification"]),
    ("auto_map", {"AutoModelForCausalLM": "modeling.Evil"}),
    ("quantization_config", {"quant_method": "gptq"}),
    ("hidden_act", "gelu"),
    ("attention_bias", True),
    ("mlp_bias", True),
    ("rope_scaling", {"rope_type": "linear", "factor": 2.0}),
    ("rope_parameters", {"rope_type": "llama3", "rope_theta": 1e4, "factor": 8.0}),
    ("rope_parameters", {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5}),
    ("rope_theta", 20_000.0),
    ("hidden_size", "32"),
    ("head_dim", 16),
    ("num_attention_heads", 3),
    ("num_attention_heads", 0),
    ("num_key_value_heads", 3),
    ("num_hidden_layers", 10**9),
    ("rms_norm_eps", -1.0),
    ("model_type", "qwen3"),
    ("use_sliding_window", True),
    ("layer_types", ["sliding_attention"]),
]


@pytest.mark.parametrize(("field", "value"), REFUSED, ids=[f"{field}={value}"[:40] for field, value in REFUSED])
def test_a_config_that_is_no_plain_llama_is_refused(folder: Path, field: str, value: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, field: value}))
    with pytest.raises(InvalidInput, match=r"^config[.:].*; give a LLaMA folder"):
        from_transformers(folder)


@pytest.mark.parametrize(
    "given", [{"rope_theta": 5e5}, {"rope_theta": 5e5, "rope_parameters": {"rope_type": "default"}}]
)
def test_the_base_of_rotations_is_read_wherever_a_file_has_it(folder: Path, given: dict[str, object]) -> None:
    config = json.loads((folder / "config.json").read_text())
    del config["rope_parameters"]
    (folder / "config.json").write_text(json.dumps({**config, **given}))
    assert read_architecture(folder / "config.json").rope_theta == 5e5


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"[" * 100_000])
def test_a_config_that_is_no_json_object_is_refused(folder: Path, content: bytes) -> None:
    (folder / "config.json").write_bytes(content)
    with pytest.raises(InvalidInput, match=r"^config: "):
        from_transformers(folder)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "consolidated.00.pth"])
def test_pickled_weights_are_refused_and_never_opened(folder: Path, name: str) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (folder / "ran",))

    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(pickle.dumps(Evil()))
    with pytest.raises(InvalidInput, match=f"weights: {name} is pickled and could run code"):
        from_transformers(folder)
    assert not (folder / "ran").exists()


def test_pickle_under_the_name_of_safetensors_is_refused(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(pickle.dumps({"weights": list(range(100))}))
    with pytest.raises(InvalidInput, match=r"weights: .*cannot be read"):
        from_transformers(folder)


def test_a_folder_without_weights_is_refused(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(InvalidInput, match=r"weights: .* holds no model.safetensors"):
        from_transformers(folder)


def change_weights(folder: Path, **changes: torch.Tensor | None) -> None:
    names = {"norm": "model.norm.weight", "extra": "model.extra.weight"}
    weights = load_file(folder / "model.safetensors") | {names[name]: tensor for name, tensor in changes.items()}
    save_file({name: tensor for name, tensor in weights.items() if tensor is not None}, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"norm": None}, "model.norm.weight is missing"),
        ({"norm": torch.ones(33)}, r"model.norm.weight of shape \[33\] does not belong to the config"),
        ({"extra": torch.ones(2)}, r"model.extra.weight of shape \[2\] does not belong to the config"),
        ({"norm": torch.ones(32, dtype=torch.int8)}, "model.norm.weight has dtype I8"),
    ],
)
def test_weights_that_do_not_fit_are_refused(folder: Path, changes: dict[str, Any], message: str) -> None:
    change_weights(folder, **changes)
    with pytest.raises(InvalidInput, match=f"weights: {message}"):
        from_transformers(folder)


@pytest.mark.parametrize("shard", ["../model.safetensors", "/etc/passwd", "model.bin", 5, "a/b.safetensors"])
def test_an_index_cannot_leave_the_folder(folder: Path, shard: object) -> None:
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"model.norm.weight": shard}}))
    with pytest.raises(InvalidInput, match=r"weights: model.safetensors.index.json names no shards"):
        from_transformers(folder)


def test_a_missing_shard_is_named(folder: Path) -> None:
    index = {"weight_map": {"model.norm.weight": "model-00001-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(InvalidInput, match=r"weights: .*model-00001-of-00002.safetensors cannot be read"):
        from_transformers(folder)


def test_the_network_does_not_change_with_the_file_it_was_read_from(folder: Path) -> None:
    ours = from_transformers(folder)
    path = folder / "model.safetensors"
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.write(bytes(size))
    for name, weight in network(CONFIGS["tied"]).state_dict().items():
        assert torch.equal(ours.state_dict()[name], weight)


def test_weights_load_into_a_network_that_is_already_there(folder: Path) -> None:
    ours = Transformer(CONFIGS["tied"])
    load_weights(ours, folder / "model.safetensors")
    for name, weight in network(CONFIGS["tied"]).state_dict().items():
        assert torch.equal(ours.state_dict()[name], weight)
    with pytest.raises(InvalidInput, match="weights: "):
        load_weights(Transformer(CONFIGS["untied, grouped"]), folder / "model.safetensors")
