"""``tokenizer.json``, and ``vocab.json`` with ``merges.txt``: what Hugging Face's libraries and GPT-2 write."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from model.tokenizer.pairs import BYTE_CHARACTERS, FALLBACK_TOKENS, GPT2, PATTERNS, Pair
from model.tokenizer.sentencepiece import DUMMY_PREFIX_LEFT_OUT, SPACE
from model.tokenizer.source import Source, checked, fingerprint, refused, special_first

NFC_LEFT_OUT = "text is not normalised (NFC), so that every text comes back"

_Json = Mapping[str, Any]
_SPACES_ESCAPED = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
_PREFIX = {"type": "Prepend", "prepend": SPACE}


class _Bpe(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    type: Literal["BPE"] = "BPE"
    vocab: dict[str, int]
    merges: list[tuple[str, str] | str]
    byte_fallback: bool = False
    ignore_merges: bool = False
    dropout: None = None
    continuing_subword_prefix: Literal["", None] = None
    end_of_word_suffix: Literal["", None] = None


class _Added(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    id: int
    content: str


class _File(BaseModel):
    """What of a ``tokenizer.json`` decides which tokens a text has."""

    model_config = ConfigDict(extra="ignore", strict=True)

    model: _Bpe
    added_tokens: list[_Added] = []
    normalizer: dict[str, Any] | None = None
    pre_tokenizer: dict[str, Any] | None = None


_VOCABULARY = TypeAdapter(dict[str, int])


def read_tokenizer_json(content: bytes, name: str, field: str) -> Source:
    """Read a byte-level or byte-fallback BPE; only settings that let every text come back are taken.

    Raises:
        InvalidInput: it is another kind of tokenizer, changes the text, or cuts it by a pattern that is not known.
    """
    try:
        file = _File.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "it"
        raise refused(name, f"is not a BPE tokenizer ({where}: {first['msg']})", field) from error
    merges = _merges(file.model.merges, name, field)
    digest = fingerprint(content)
    source = _characters(file, merges, digest, name, field) if file.model.byte_fallback else None
    return checked(source or _bytes(file, merges, digest, name, field), name, field)


def read_vocabulary(content: bytes, merges: bytes, name: str, field: str) -> Source:
    """Read GPT-2's two files; tokens that neither are bytes nor are merged count as special.

    Raises:
        InvalidInput: one of them is not what its name says.
    """
    try:
        ids = _VOCABULARY.validate_json(content, strict=True)
        lines = merges.decode().splitlines()
    except (ValidationError, UnicodeDecodeError) as error:
        raise refused(name, "or its merges.txt is not what its name says", field) from error
    pairs = _merges([line for line in lines if line.strip() and not line.startswith("#version")], name, field)
    products = {first + second for first, second in pairs}
    special = [token for token in ids if token not in products and token not in set(BYTE_CHARACTERS)]
    source = Source(
        kind="byte-level BPE (vocab.json and merges.txt)",
        special=special_first(special),
        tokens=_ranked(ids, set(special), pairs),
        ids=ids,
        fingerprint=fingerprint(content, merges),
        merges=_known(pairs, ids, name, field),
    )
    return checked(source, name, field)


def _merges(listed: Sequence[Pair | str], name: str, field: str) -> tuple[Pair, ...]:
    pairs = [tuple(merge.split(" ")) if isinstance(merge, str) else merge for merge in listed]
    if any(len(pair) != 2 for pair in pairs):
        raise refused(name, "has a merge that is not two tokens", field)
    return tuple((pair[0], pair[1]) for pair in pairs)


def _known(merges: tuple[Pair, ...], ids: Mapping[str, int], name: str, field: str) -> tuple[Pair, ...]:
    if not all(pair[0] in ids and pair[1] in ids and "".join(pair) in ids for pair in merges):
        raise refused(name, "merges tokens that it does not have", field)
    return merges


def _ranked(ids: Mapping[str, int], special: set[str], merges: tuple[Pair, ...]) -> tuple[str, ...]:
    """Ordinary tokens by the place of the merge that makes them, single bytes first."""
    place: dict[str, int] = {}
    for number, pair in enumerate(merges):
        place.setdefault("".join(pair), number)
    ordinary = [token for token in ids if token not in special]
    single = set(BYTE_CHARACTERS)
    return tuple(sorted(ordinary, key=lambda token: (token not in single, place.get(token, len(merges)), ids[token])))


def _bytes(file: _File, merges: tuple[Pair, ...], digest: str, name: str, field: str) -> Source:
    normalizer = file.normalizer
    if normalizer is not None and normalizer.get("type") != "NFC":
        raise refused(name, f"normalises text by {normalizer.get('type')}, so that not every text comes back", field)
    ids, special = _ids_and_special(file)
    return Source(
        kind="byte-level BPE (tokenizer.json)",
        special=special_first(special),
        tokens=_ranked(file.model.vocab, set(special), merges),
        ids=ids,
        fingerprint=digest,
        merges=_known(merges, file.model.vocab, name, field),
        pattern=_pattern(file.pre_tokenizer, name, field),
        ignore_merges=file.model.ignore_merges,
        notes=() if normalizer is None else (NFC_LEFT_OUT,),
    )


def _ids_and_special(file: _File) -> tuple[dict[str, int], list[str]]:
    added = {token.content: token.id for token in file.added_tokens}
    return {**file.model.vocab, **added}, sorted(added, key=added.__getitem__)


def _pattern(pre_tokenizer: _Json | None, name: str, field: str) -> str | None:
    """The name of the pattern by which a byte-level tokenizer cuts text into words."""
    steps = pre_tokenizer.get("pretokenizers") if pre_tokenizer and pre_tokenizer.get("type") == "Sequence" else None
    listed = steps if isinstance(steps, list) else [pre_tokenizer]
    *words, spelling = [step for step in listed if isinstance(step, dict)] or [{}]
    plain = spelling.get("type") == "ByteLevel" and spelling.get("add_prefix_space") is False
    if plain and not words:
        return None if spelling.get("use_regex") is False else GPT2
    if plain and len(words) == 1 and spelling.get("use_regex") is False:
        given = {"pattern": words[0].get("pattern"), "behavior": words[0].get("behavior")}
        for known, pattern in PATTERNS.items():
            if words[0].get("type") == "Split" and given == {"pattern": {"Regex": pattern}, "behavior": "Isolated"}:
                return known
    raise refused(name, f"cuts text into words in a way that is not one of {', '.join((GPT2, *PATTERNS))}", field)


def _characters(file: _File, merges: tuple[Pair, ...], digest: str, name: str, field: str) -> Source:
    prefixed = _has_prefix(file, name, field)
    ids, special = _ids_and_special(file)
    _known(merges, file.model.vocab, name, field)
    single_bytes = [token for token in FALLBACK_TOKENS if token in ids]
    aside = {*special, *single_bytes}
    ranked = sorted((token for token in file.model.vocab if token not in aside), key=file.model.vocab.__getitem__)
    return Source(
        kind="byte-fallback BPE (tokenizer.json)",
        special=special_first(special),
        tokens=(*single_bytes, *(token.replace(SPACE, " ") for token in ranked)),
        ids={token if token in special else token.replace(SPACE, " "): number for token, number in ids.items()},
        fingerprint=digest,
        merges=tuple((first.replace(SPACE, " "), second.replace(SPACE, " ")) for first, second in merges),
        alphabet="characters",
        pattern=None,
        ignore_merges=file.model.ignore_merges,
        notes=(DUMMY_PREFIX_LEFT_OUT,) if prefixed else (),
    )


def _has_prefix(file: _File, name: str, field: str) -> bool:
    """Whether a space is put before a text; spaces must be escaped, and nothing else may be done to the text."""
    normalizer, words = file.normalizer or {}, file.pre_tokenizer or {}
    steps = normalizer.get("normalizers") if normalizer.get("type") == "Sequence" else [normalizer]
    listed = [step for step in steps if step] if isinstance(steps, list) else [normalizer]
    metaspace = words.get("type") == "Metaspace" and words.get("replacement") == SPACE and words.get("split") is False
    if metaspace and not listed:
        return words.get("prepend_scheme") in ("first", "always")
    if not words and listed in ([_SPACES_ESCAPED], [_PREFIX, _SPACES_ESCAPED]):
        return len(listed) == 2
    raise refused(name, "treats text in another way than SentencePiece does", field)
