"""Tokenizer files of every supported kind, made from a few modules of the standard library."""

import argparse
import base64
import inspect
import io
import json
import typing
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

from model.tokenizer import END_OF_TEXT, train_tokenizer
from model.tokenizer.pairs import BYTE_CHARACTERS

TEXTS = [
    inspect.getsource(argparse)[:60_000],
    inspect.getsource(typing)[:60_000],
    "汉语拼音和汉字教材，教材里有汉字。\n" * 30,
    "a  b\t\tc\n\n" * 30,
]
SIZE = 900
_BYTE_OF = {character: byte for byte, character in enumerate(BYTE_CHARACTERS)}


@cache
def sentencepiece_model(**changes: Any) -> bytes:
    """A SentencePiece model whose texts come back, unless ``changes`` say otherwise."""
    model = io.BytesIO()
    options = {
        "model_type": "bpe",
        "vocab_size": SIZE,
        "byte_fallback": True,
        "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False,
        "add_dummy_prefix": False,
        "allow_whitespace_only_pieces": True,
        "user_defined_symbols": "<sep>",
        "num_threads": 1,
        "minloglevel": 2,
    }
    lines = (line for text in TEXTS for line in text.splitlines(keepends=True) if line.strip())
    SentencePieceTrainer.train(sentence_iterator=lines, model_writer=model, **{**options, **changes})
    return model.getvalue()


def processor() -> SentencePieceProcessor:
    return SentencePieceProcessor(model_proto=sentencepiece_model())


@cache
def byte_level_file() -> Mapping[str, Any]:
    document: Mapping[str, Any] = json.loads(train_tokenizer(TEXTS, SIZE).to_str())
    return document


def write_sentencepiece(folder: Path) -> Path:
    path = folder / "tokenizer.model"
    path.write_bytes(sentencepiece_model())
    return path


def write_tokenizer_json(folder: Path) -> Path:
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(byte_level_file()), encoding="utf-8")
    return path


def write_vocabulary(folder: Path) -> Path:
    model = byte_level_file()["model"]
    merges = ["#version: 0.2", *(" ".join(pair) for pair in model["merges"])]
    (folder / "x_merges.txt").write_text("\n".join(merges) + "\n", encoding="utf-8")
    path = folder / "x_vocab.json"
    path.write_text(json.dumps(model["vocab"]), encoding="utf-8")
    return path


def write_ranks(folder: Path) -> Path:
    vocabulary: dict[str, int] = byte_level_file()["model"]["vocab"]
    tokens = sorted((token for token in vocabulary if token != END_OF_TEXT), key=vocabulary.__getitem__)
    spelled = (base64.b64encode(bytes(map(_BYTE_OF.__getitem__, token))).decode() for token in tokens)
    path = folder / "ranks.tiktoken"
    path.write_text("".join(f"{token} {rank}\n" for rank, token in enumerate(spelled)), encoding="utf-8")
    return path


def write_llama_json(folder: Path) -> Path:
    """The SentencePiece model as transformers' converter writes it, with a prefix."""
    model = processor()
    pieces = [model.id_to_piece(number) for number in range(model.get_piece_size())]
    known = set(pieces)
    merges = [
        (piece[:cut], piece[cut:])
        for piece in pieces[259:]
        for cut in range(1, len(piece))
        if {piece[:cut], piece[cut:]} <= known and not piece.startswith("<")
    ]
    document = {
        "added_tokens": [{"id": n, "content": pieces[n], "special": True} for n in (0, 1, 2)],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Prepend", "prepend": "▁"},
                {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
            ],
        },
        "pre_tokenizer": None,
        "model": {
            "type": "BPE",
            "vocab": {p: n for n, p in enumerate(pieces)},
            "merges": merges,
            "byte_fallback": True,
        },
    }
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


WRITERS = {
    "SentencePiece": write_sentencepiece,
    "tokenizer.json": write_tokenizer_json,
    "vocabulary and merges": write_vocabulary,
    "tiktoken ranks": write_ranks,
    "tokenizer.json of LLaMA": write_llama_json,
}
