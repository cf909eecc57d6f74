from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

from model.config import ArchitectureConfig
from model.counts import forward_flops_per_token
from model.errors import InvalidInput
from model.hf import from_transformers
from trainer.config import CompressedTokenizer, JsonlCorpus, Precision, ProxyConfig
from trainer.distillation import teacher as teacher_module
from trainer.distillation.config import DistillationConfig
from trainer.distillation.teacher import Teacher, read_teacher
from trainer.machine.precision import autocast
from trainer.parallel.world import World
from trainer.text.data import PreparedData, prepare

CPU = torch.device("cpu")
WriteTeacher = Callable[..., Path]


def read(
    folder: Path, student: ArchitectureConfig, tokenizer: Tokenizer, precision: Precision = "float32", **told: Any
) -> Teacher:
    return read_teacher(DistillationConfig(teacher=str(folder), **told), student, tokenizer, CPU, precision)


@pytest.fixture(scope="session")
def larger(corpus: JsonlCorpus, storage: Path) -> PreparedData:
    return prepare(corpus, 400, 10_000, storage)


@pytest.mark.parametrize("changes", [{}, {"tied_head": False}, {"qk_norm": True, "kv_heads": 6}])
def test_its_logits_are_those_of_the_network_in_the_folder(
    changes: dict[str, Any], write_teacher: WriteTeacher, config: ProxyConfig, data: PreparedData
) -> None:
    folder = write_teacher(**changes)
    teacher = read(folder, config.architecture, data.tokenizer)
    tokens = torch.from_numpy(data.train[:192].astype(np.int64)).view(2, 3, 32)
    logits = teacher.hidden(tokens) @ teacher.head_ve.T
    expected = from_transformers(folder)(tokens.flatten(0, 1)).view(2, 96, -1)
    torch.testing.assert_close(logits, expected)
    assert not logits.requires_grad
    assert not teacher.network.training


def test_a_larger_vocabulary_is_read_at_the_students_tokens(
    write_teacher: WriteTeacher, config: ProxyConfig, corpus: JsonlCorpus, storage: Path, larger: PreparedData
) -> None:
    cut = CompressedTokenizer(kind="compressed", path=str(larger.tokenizer_path))
    data = prepare(corpus, 300, 10_000, storage, tokenizer_source=cut)
    folder = write_teacher(larger.tokenizer, tied_head=False)
    teacher = read(folder, config.architecture, data.tokenizer)
    tokens = torch.from_numpy(data.train[:64].astype(np.int64)).view(2, 32)
    theirs = [larger.tokenizer.token_to_id(data.tokenizer.id_to_token(number)) for number in range(300)]
    rows = torch.tensor(theirs)
    assert not torch.equal(rows, torch.arange(300))
    expected = from_transformers(folder)(rows[tokens])[..., rows]
    found = (teacher.hidden(tokens[None]) @ teacher.head_ve.T).view(2, 32, -1)
    torch.testing.assert_close(found, expected)
    assert teacher.forward_flops_per_token < forward_flops_per_token(from_transformers(folder).config)


@pytest.mark.parametrize("tied", [True, False])
def test_bfloat16_gives_what_autocast_would(
    tied: bool, write_teacher: WriteTeacher, config: ProxyConfig, data: PreparedData
) -> None:
    folder = write_teacher(tied_head=tied)
    teacher = read(folder, config.architecture, data.tokenizer, "bfloat16")
    network = from_transformers(folder, teacher.network.backend)
    tokens = torch.from_numpy(data.train[:64].astype(np.int64)).view(1, 2, 32)
    with autocast("bfloat16", CPU):
        found = F.linear(teacher.hidden(tokens), teacher.head_ve)
        expected = F.linear(network.hidden(tokens[0]).flatten(0, 1)[None], network.head_vd)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, expected)
    matrices = [weight for weight in teacher.network.blocks.parameters() if weight.ndim == 2]
    assert {weight.dtype for weight in matrices} == {torch.bfloat16}


def test_documents_are_masked_for_it_as_for_its_student(
    teacher_folder: Path, config: ProxyConfig, data: PreparedData
) -> None:
    masked = config.architecture.model_copy(update={"mask_documents": True})
    tokens = torch.from_numpy(data.train[:32].astype(np.int64)).view(1, 1, 32).clone()
    tokens[..., 16] = 0
    other = tokens.clone()
    other[..., :16] = other[..., :16].flip(-1)
    for architecture, sees in ((masked, False), (config.architecture, True)):
        teacher = read(teacher_folder, architecture, data.tokenizer)
        differs = not torch.allclose(teacher.hidden(tokens)[:, 16:], teacher.hidden(other)[:, 16:])
        assert differs is sees


def test_it_says_what_it_is(teacher_folder: Path, config: ProxyConfig, data: PreparedData) -> None:
    teacher = read(teacher_folder, config.architecture, data.tokenizer, weight=0.25, teacher_train_flops=1e12)
    again = read(teacher_folder, config.architecture, data.tokenizer)
    attributes = teacher.attributes
    assert attributes["teacher_fingerprint"] == again.attributes["teacher_fingerprint"]
    assert attributes["teacher_parameters"] == sum(p.numel() for p in from_transformers(teacher_folder).parameters())
    assert (attributes["distillation_weight"], attributes["distillation_temperature"]) == (0.25, 2.0)
    assert attributes["teacher_train_flops"] == 1e12
    assert "teacher_train_flops" not in again.attributes


def test_a_short_context_is_refused(write_teacher: WriteTeacher, config: ProxyConfig, data: PreparedData) -> None:
    said = "made for 16 tokens, and the student's sequences have 32; set sequence_length to at most 16"
    with pytest.raises(InvalidInput, match=said) as error:
        read(write_teacher(sequence_length=16), config.architecture, data.tokenizer)
    assert error.value.field == "teacher.model"


def test_a_token_without_counterpart_is_refused(
    teacher_folder: Path, config: ProxyConfig, larger: PreparedData
) -> None:
    student = config.architecture.model_copy(update={"vocabulary_size": 400})
    with pytest.raises(InvalidInput, match=r"no token for 100 of the student's 400, such as .*kind: compressed"):
        read(teacher_folder, student, larger.tokenizer)


def test_a_folder_that_is_none_or_holds_no_tokenizer_is_refused(
    tmp_path: Path, write_teacher: WriteTeacher, config: ProxyConfig, data: PreparedData
) -> None:
    with pytest.raises(InvalidInput) as error:
        read(tmp_path / "missing", config.architecture, data.tokenizer)
    assert error.value.field.startswith("teacher.model")
    folder = write_teacher()
    (folder / "tokenizer.json").unlink()
    with pytest.raises(InvalidInput, match="holds no tokenizer"):
        read(folder, config.architecture, data.tokenizer)


def test_a_teacher_beyond_the_memory_is_refused_before_it_is_read(
    teacher_folder: Path, config: ProxyConfig, data: PreparedData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teacher_module, "available_bytes", lambda device: 1000)
    monkeypatch.setattr(teacher_module, "read_parent", lambda *_, **__: pytest.fail("it was read"))
    with pytest.raises(InvalidInput, match="of memory are available"):
        read(teacher_folder, config.architecture, data.tokenizer)


def test_processes_of_one_host_share_its_memory(
    teacher_folder: Path, config: ProxyConfig, data: PreparedData, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = DistillationConfig(teacher=str(teacher_folder))
    arguments = (told, config.architecture, data.tokenizer, CPU, "float32")
    size = 4 * int(read_teacher(*arguments).attributes["teacher_parameters"])
    monkeypatch.setattr(teacher_module, "available_bytes", lambda device: 2 * size)
    read_teacher(*arguments, processes=2)
    with pytest.raises(InvalidInput, match="which 3 processes of this host read at once"):
        read_teacher(*arguments, processes=3)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert [World(0, size, CPU, "gloo").on_this_host for size in (1, 8)] == [1, 4]
    monkeypatch.delenv("LOCAL_WORLD_SIZE")
    assert World(0, 8, CPU, "gloo").on_this_host == 8
