"""How well tokenizers of several sizes serve a corpus: coverage, bytes per token, and what the embedding costs."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from tokenizers import Tokenizer

from model.config import MAX_VOCABULARY_SIZE
from model.errors import InvalidInput
from model.tokenizer.compression import Method, Reduction, reduction
from model.tokenizer.counting import Counted, count_tokens
from model.tokenizer.pairs import build
from model.tokenizer.source import Source
from model.tokenizer.training import train_tokenizer

Way = Literal[Method, "retraining"]
"""A way to a tokenizer of V tokens; ``retraining``: byte-level BPE, learned from the corpus."""
WAYS: tuple[Way, ...] = ("frequency", "merges", "retraining")
SIZES = (8_000, 16_000, 32_000, 48_000, 72_000, 100_000)
"""The paper's (PanGu-π Pro, F1)."""
MIN_COVERAGE, MAX_SHARE = 0.90, 0.20
"""The paper's rule (PanGu-π Pro, F1): the smallest vocabulary above the one and below the other."""
HELD_OUT_EVERY = 10
"""One text in so many is measured and neither counted nor learned from (assumed)."""
HELD_OUT_BYTES = 8 * 2**20
"""Most text that bytes per token are measured on (assumed)."""
LEARNED_BYTES = 32 * 2**20
"""Most text that is kept for retraining, evenly spread over the corpus (assumed: as for trials)."""


@dataclass(frozen=True)
class Network:
    """The network whose embedding is to be judged."""

    total_parameters: int
    """N."""
    width: int
    """d."""
    tied_head: bool

    def embedding_share(self, vocabulary_size: int) -> float:
        """PEHL of the paper (F1): share of N in embedding and head, 2·V·d / N, or V·d / N where they are one table."""
        return (1 if self.tied_head else 2) * vocabulary_size * self.width / self.total_parameters

    @property
    def largest_vocabulary(self) -> int:
        """Largest V whose share stays below ``MAX_SHARE``."""
        of_one = self.embedding_share(1)
        size = int(MAX_SHARE / of_one)
        return size if self.embedding_share(size) < MAX_SHARE else size - 1


PAPER_NETWORK = Network(total_parameters=950_000_000, width=1792, tied_head=False)
"""(derived) N is what the paper's two shares give, 38.19 % at 100 883 tokens and 18.07 % at 48 000, at its width."""


@dataclass(frozen=True)
class Size:
    """One tokenizer."""

    method: Way
    vocabulary_size: int
    coverage: float | None
    """Share of the large tokenizer's tokens in the corpus that are kept; None for a retrained one, which has others."""
    bytes_per_token: float
    """On text that was set aside."""
    embedding_share: float


@dataclass(frozen=True)
class Report:
    """What was found."""

    source: str
    source_size: int
    source_bytes_per_token: float
    corpus_bytes: int
    """UTF-8 bytes that were counted."""
    measured_bytes: int
    sizes: tuple[Size, ...]
    smallest_covering: int | None
    """Fewest tokens, by frequency, with more than ``MIN_COVERAGE``."""
    largest_affordable: int
    """Most tokens with an embedding share below ``MAX_SHARE``."""
    notes: tuple[str, ...]

    @property
    def recommended(self) -> int | None:
        """The paper's choice: the smallest vocabulary that covers enough, if its share is affordable."""
        covering = self.smallest_covering
        return covering if covering is not None and covering <= self.largest_affordable else None

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "recommended": self.recommended}


class SpreadSample:
    """Texts spread evenly over a stream of unknown length: when there are too many, every second is let go."""

    def __init__(self, max_bytes: int) -> None:
        self.texts: list[str] = []
        self._max_bytes, self._stride, self._seen, self._bytes = max_bytes, 1, 0, 0

    def offer(self, text: str) -> None:
        """Take the text or leave it."""
        if self._seen % self._stride == 0:
            self.texts.append(text)
            self._bytes += len(text.encode())
        self._seen += 1
        while self._bytes > self._max_bytes and len(self.texts) > 1:
            self.texts = self.texts[::2]
            self._stride *= 2
            self._bytes = sum(len(kept.encode()) for kept in self.texts)


class Divided:
    """A stream of texts of which some are set aside, and some of the others are kept for learning."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = texts
        self.held_out = SpreadSample(HELD_OUT_BYTES)
        self.learned = SpreadSample(LEARNED_BYTES)

    def __iter__(self) -> Iterator[str]:
        for number, text in enumerate(filter(None, self._texts), start=1):
            if number % HELD_OUT_EVERY == 0:
                self.held_out.offer(text)
            else:
                self.learned.offer(text)
                yield text


def count_source(
    source: Source, texts: Iterable[str], progress: Callable[[int], None] = lambda text_bytes: None
) -> Counted:
    """Count the tokens of a large tokenizer over a corpus.

    Raises:
        InvalidInput: the corpus holds no text.
    """
    counted = count_tokens(source.tokenizer, texts, progress)
    if not counted.tokens:
        raise InvalidInput("corpus", "it holds no text to count tokens in", "give a corpus with text")
    return counted


def measure(
    source: Source,
    texts: Iterable[str],
    sizes: Sequence[int],
    ways: Sequence[Way],
    network: Network,
    progress: Callable[[str, int], None] = lambda what, done: None,
) -> Report:
    """Report on every way and size; ``progress`` is told what is being done, and the bytes counted so far.

    Raises:
        InvalidInput: the corpus holds no text, or a size cannot be cut out of the source.
    """
    for size in sizes:
        source.check_size(size)
    divided = Divided(texts)
    counted = count_source(source, divided, lambda done: progress("counting", done))
    cuts = {method: reduction(source, method, counted.counts) for method in ("frequency", "merges")}
    frequency = cuts["frequency"]
    measured = divided.held_out.texts or divided.learned.texts
    notes = [*source.notes]
    if not divided.held_out.texts:
        notes.append("the corpus has few texts, so that bytes per token are measured on what was counted")
    rows: list[Size] = []
    for way in ways:
        for size in sizes:
            progress(f"{way}, {size} tokens", counted.text_bytes)
            cut = cuts.get(way)
            made = _made(cut, size, divided.learned.texts, notes)
            if made is not None:
                found = count_tokens(made, measured).bytes_per_token
                covered = cut.coverage(size) if cut else None
                rows.append(Size(way, size, covered, found, network.embedding_share(size)))
    whole = count_tokens(source.tokenizer, measured)
    return Report(
        source=source.kind,
        source_size=source.largest,
        source_bytes_per_token=whole.bytes_per_token,
        corpus_bytes=counted.text_bytes,
        measured_bytes=whole.text_bytes,
        sizes=tuple(rows),
        smallest_covering=frequency.smallest_covering(MIN_COVERAGE),
        largest_affordable=min(network.largest_vocabulary, MAX_VOCABULARY_SIZE),
        notes=tuple(notes),
    )


def _made(cut: Reduction | None, size: int, texts: Sequence[str], notes: list[str]) -> Tokenizer | None:
    """The tokenizer, cut or retrained; None with a note where the text cannot teach so many tokens."""
    if cut is not None:
        return build(cut.pairs(size))
    try:
        return train_tokenizer(texts, size)
    except InvalidInput as error:
        notes.append(f"retraining at {size}: {error.reason}")
        return None
