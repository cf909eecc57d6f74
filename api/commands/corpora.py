"""Corpora that a command is given by their paths."""

from pathlib import Path

from trainer.config import BuiltinCorpus, Corpus, JsonlCorpus, TextCorpus

BUILTIN = "builtin"


def named_corpus(path: str, text_field: str = "text") -> Corpus:
    """The corpus at a path, whose kind follows from its name; ``builtin`` is Python's own library."""
    if path == BUILTIN:
        return BuiltinCorpus()
    real = str(Path(path).resolve())
    if path.endswith((".jsonl", ".jsonl.gz")):
        return JsonlCorpus(kind="jsonl", path=real, text_field=text_field)
    return TextCorpus(kind="text", path=real)
