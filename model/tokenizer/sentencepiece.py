"""SentencePiece ``.model`` files: a protocol buffer, of which the fields that change the encoding are read.

The messages are described here, in a pool of their own: the packages that bring SentencePiece's own description
register it for the whole process, where two of them collide. Nothing of SentencePiece itself runs.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from model.tokenizer.pairs import FALLBACK_TOKENS
from model.tokenizer.source import Source, checked, fingerprint, refused, special_first

MAX_MODEL_BYTES = 16 * 2**20
"""Largest file (assumed: published ones reach 5 MiB); a hostile one of this size takes about a gigabyte of memory."""
MAX_TIED_SHARE = 0.01
"""Share of the pieces that may have one score before it is said (assumed: InternLM's scores are shared by three pieces
each, and its texts get SentencePiece's tokens; a model with 23 296 pieces of score 0 gave 59 of 60 texts others)."""
SPACE = "▁"
"""How SentencePiece writes a space."""
_TYPES = {"unigram": 1, "bpe": 2, "word": 3, "char": 4}
_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED, _BYTE = 1, 2, 3, 4, 6
"""Types of pieces (sentencepiece_model.proto); pieces of type 5 are unused."""

_FIELD = descriptor_pb2.FieldDescriptorProto
_Fields = Mapping[str, tuple[int, int, str]]
_MESSAGES: Mapping[str, _Fields] = {
    "Piece": {
        "piece": (1, _FIELD.TYPE_BYTES, ""),
        "score": (2, _FIELD.TYPE_FLOAT, "0"),
        "type": (3, _FIELD.TYPE_INT32, str(_NORMAL)),
    },
    "Trainer": {
        "model_type": (3, _FIELD.TYPE_INT32, str(_TYPES["unigram"])),
        "treat_whitespace_as_suffix": (24, _FIELD.TYPE_BOOL, "false"),
        "byte_fallback": (35, _FIELD.TYPE_BOOL, "false"),
    },
    "Normalizer": {
        "name": (1, _FIELD.TYPE_BYTES, ""),
        "precompiled_charsmap": (2, _FIELD.TYPE_BYTES, ""),
        "add_dummy_prefix": (3, _FIELD.TYPE_BOOL, "true"),
        "remove_extra_whitespaces": (4, _FIELD.TYPE_BOOL, "true"),
        "escape_whitespaces": (5, _FIELD.TYPE_BOOL, "true"),
    },
}
"""Number, type and default of each field, from sentencepiece_model.proto."""
_MODEL = {
    "pieces": (1, "Piece", _FIELD.LABEL_REPEATED),
    "trainer_spec": (2, "Trainer", _FIELD.LABEL_OPTIONAL),
    "normalizer_spec": (3, "Normalizer", _FIELD.LABEL_OPTIONAL),
}


@cache
def _model_class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="sentencepiece.proto", package="formulary", syntax="proto2")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind, default) in fields.items():
            message.field.add(name=field, number=number, type=kind, label=_FIELD.LABEL_OPTIONAL, default_value=default)
    model = file.message_type.add(name="Model")
    for field, (number, name, label) in _MODEL.items():
        described = {"type": _FIELD.TYPE_MESSAGE, "type_name": f".formulary.{name}", "label": label}
        model.field.add(name=field, number=number, **described)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("formulary.Model"))


def read_sentencepiece(content: bytes, name: str, field: str) -> Source:
    """Read a SentencePiece BPE model whose normaliser changes nothing and that falls back to bytes.

    Raises:
        InvalidInput: it is no such file, another kind of model, or one that changes the text.
    """
    if len(content) > MAX_MODEL_BYTES:
        raise refused(name, f"is larger than {MAX_MODEL_BYTES} bytes", field)
    model = _model_class()()
    try:
        model.ParseFromString(content)
        pieces = [(piece.piece.decode(), piece.score, piece.type) for piece in model.pieces]
    except (DecodeError, UnicodeDecodeError) as error:
        raise refused(name, f"is not a SentencePiece model ({error})", field) from error
    _check_settings(model, len(pieces), name, field)
    _check_pieces(pieces, name, field)
    return checked(_source(pieces, model.normalizer_spec.add_dummy_prefix, fingerprint(content)), name, field)


def _check_settings(model: Any, pieces: int, name: str, field: str) -> None:
    trainer, normalizer = model.trainer_spec, model.normalizer_spec
    kind = next((word for word, number in _TYPES.items() if number == trainer.model_type), str(trainer.model_type))
    rules = normalizer.name.decode(errors="replace")
    faults = {
        "holds no pieces": not pieces,
        f"is a {kind} model, which has no merges that could be kept: only bpe can be compressed": kind != "bpe",
        "has no byte_fallback, so that characters it lacks are lost": not trainer.byte_fallback,
        f"normalises text by {rules!r}, so that not every text comes back": bool(normalizer.precompiled_charsmap),
        "removes extra spaces, so that not every text comes back": normalizer.remove_extra_whitespaces,
        "writes spaces behind words or does not escape them": trainer.treat_whitespace_as_suffix
        or not normalizer.escape_whitespaces,
    }
    for fault, present in faults.items():
        if present:
            raise refused(name, fault, field)


def _check_pieces(pieces: list[tuple[str, float, int]], name: str, field: str) -> None:
    if len({piece.replace(SPACE, " ") for piece, _, _ in pieces}) != len(pieces):
        raise refused(name, "holds a piece twice", field)
    if any(score != score for _, score, _ in pieces):
        raise refused(name, "holds a score that is not a number", field)


def _source(pieces: list[tuple[str, float, int]], dummy_prefix: bool, digest: str) -> Source:
    special = [piece for piece, _, kind in pieces if kind in (_UNKNOWN, _CONTROL, _USER_DEFINED)]
    spelled_as_bytes = set(FALLBACK_TOKENS)
    normal = [(piece, score) for piece, score, kind in pieces if kind == _NORMAL and piece not in spelled_as_bytes]
    ranked = [piece for piece, _ in sorted(normal, key=lambda each: -each[1])]
    there = {piece for piece, _, kind in pieces if kind == _BYTE}
    single_bytes = [token for token in FALLBACK_TOKENS if token in there]
    return Source(
        kind="SentencePiece BPE",
        special=special_first(special),
        tokens=(*single_bytes, *(piece.replace(SPACE, " ") for piece in ranked)),
        ids={piece if kind != _NORMAL else piece.replace(SPACE, " "): n for n, (piece, _, kind) in enumerate(pieces)},
        fingerprint=digest,
        alphabet="characters",
        pattern=None,
        notes=(*((DUMMY_PREFIX_LEFT_OUT,) if dummy_prefix else ()), *_ties([score for _, score in normal])),
    )


def _ties(scores: list[float]) -> Iterator[str]:
    """A note where many pieces have one score: merges take them in turn, SentencePiece the leftmost of them first."""
    most = max(Counter(scores).values(), default=0)
    if most > MAX_TIED_SHARE * len(scores):
        yield f"{most} pieces have the same score, so that some texts get other tokens than SentencePiece gives them"


DUMMY_PREFIX_LEFT_OUT = "no space is put before a text (add_dummy_prefix), so that tokens stand for its bytes alone"
