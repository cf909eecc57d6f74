"""Counting tokens over 100 MB of text, reading the file included, against the bare library on text in memory."""

import itertools
import json
import statistics
import string
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Tokenizer

from model.tokenizer import train_tokenizer
from model.tokenizer.counting import count_tokens
from trainer.config import BuiltinCorpus, JsonlCorpus
from trainer.text.reading import read_documents

TEXT_BYTES = 100_000_000
VOCABULARY_SIZE = 16_384
TRAINED_BYTES = 8_000_000
GROUP_CHARACTERS = 4 * 2**20
"""Handed to the library at once; one call with everything takes more memory than machines have."""
ROUNDS = 3


def texts() -> Iterator[str]:
    """The builtin corpus again and again, its small letters shifted each time, so that no word comes back as it was."""
    originals = [document.text for document in read_documents(BuiltinCorpus(), "corpus") if document.text]
    total = 0
    for shift in itertools.count():
        letters = string.ascii_lowercase
        table = str.maketrans(letters, letters[shift % 26 :] + letters[: shift % 26])
        for original in originals:
            if total >= TEXT_BYTES:
                return
            yield original.translate(table)
            total += len(original.encode())


def learn(documents: list[str]) -> Tokenizer:
    """A tokenizer of some of the text, a head of each document."""
    heads = (document[: TRAINED_BYTES // 1000] for document in documents[:: max(1, len(documents) // 1000)])
    return train_tokenizer(heads, VOCABULARY_SIZE)


def raw_seconds(tokenizer: Tokenizer, documents: list[str]) -> tuple[float, int]:
    """The library's fastest call on all cores; nothing is done with what it returns but to ask for its length."""
    begun = time.perf_counter()
    tokens = size = 0
    group: list[str] = []
    for document in documents:
        group.append(document)
        size += len(document)
        if size >= GROUP_CHARACTERS:
            tokens += sum(map(len, tokenizer.encode_batch_fast(group, add_special_tokens=False)))
            group, size = [], 0
    tokens += sum(map(len, tokenizer.encode_batch_fast(group, add_special_tokens=False)))
    return time.perf_counter() - begun, tokens


def our_seconds(tokenizer: Tokenizer, path: Path) -> tuple[float, int]:
    """Reading the lines of a file and counting."""
    begun = time.perf_counter()
    corpus = JsonlCorpus(kind="jsonl", path=str(path))
    counted = count_tokens(tokenizer, (document.text for document in read_documents(corpus, "corpus")))
    return time.perf_counter() - begun, counted.tokens


def measure() -> float:
    """Median over rounds of raw seconds / our seconds, the two taking turns."""
    documents = list(texts())
    tokenizer = learn(documents)
    ratios = []
    with tempfile.TemporaryDirectory(prefix="formulary-bench-") as folder:
        path = Path(folder) / "corpus.jsonl"
        with path.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps({"text": document}) + "\n" for document in documents)
        for _ in range(ROUNDS):
            (raw, expected), (ours, found) = raw_seconds(tokenizer, documents), our_seconds(tokenizer, path)
            ratios.append(raw / ours)
            print(f"raw {raw:.1f} s, {expected} tokens; ours {ours:.1f} s, {found} tokens", flush=True)
    return statistics.median(ratios)
