"""Merges of tokenizers that store none, and the way in which a tokenizer comes to each of its tokens.

SentencePiece and tiktoken files hold tokens in the order of their priority and no merges: two neighbours are merged
whenever their concatenation is a token, the token of highest priority first (SentencePiece's ``bpe_model.cc``,
tiktoken's ``_byte_pair_merge``). Listing every pair of tokens that makes a token, in the order of the tokens they make,
says the same to a library that wants merges.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from model.errors import InvalidInput
from model.tokenizer.pairs import BYTE_TOKENS, BytePairs, Pair

MAX_TOKEN_LENGTH = 1024
"""Longest token in characters (assumed: published ones reach 128)."""
MAX_SPLITTING_WORK = 2 * 10**8
"""Largest sum of squared token lengths, which the time for finding merges grows with (assumed: about 20 seconds; the
largest published tokenizers have 2 × 10^7)."""


def check_lengths(tokens: Sequence[str], field: str) -> None:
    """Refuse tokens whose merges would take too long to find.

    Raises:
        InvalidInput: names the length that is too much.
    """
    longest = max(map(len, tokens), default=0)
    if longest > MAX_TOKEN_LENGTH:
        raise InvalidInput(field, f"a token has {longest} characters", f"use one with at most {MAX_TOKEN_LENGTH}")
    if sum(len(token) ** 2 for token in tokens) > MAX_SPLITTING_WORK:
        raise InvalidInput(field, "its tokens are too many and too long", "use a tokenizer for natural text")


def merges_by_rank(tokens: Sequence[str]) -> tuple[Pair, ...]:
    """Every pair of tokens that makes a token, for tokens in the order of their priority."""
    rank = {token: place for place, token in enumerate(tokens)}
    found: list[Pair] = []
    for token in tokens:
        cuts = ((token[:cut], token[cut:]) for cut in range(1, len(token)))
        known = [pair for pair in cuts if pair[0] in rank and pair[1] in rank]
        found.extend(sorted(known, key=lambda pair: (rank[pair[0]], rank[pair[1]])))
    return tuple(found)


def last_merges(pairs: BytePairs) -> dict[str, Pair | None]:
    """For each token that its own text is encoded as: the merge that makes it, None where it takes no merge.

    Tokens that are not in the answer are never the token of a text. All that goes before the last merge happens inside
    one of its parts as it would in that part alone, because nothing that crosses them was merged; so the parts of
    the parts, and so on, are the whole way (derived).
    """
    ranks = {pair: place for place, pair in enumerate(pairs.merges)}
    products = {first + second for first, second in pairs.merges}
    base = set(BYTE_TOKENS[pairs.alphabet])
    found: dict[str, Pair | None] = {}
    for token in pairs.tokens:
        if token in base or (len(token) == 1 and pairs.alphabet == "characters"):
            found[token] = None
        elif token in products and (last := _last_merge(token, ranks)) is not None:
            found[token] = last
        elif pairs.ignore_merges:
            found[token] = None
    return found


def _last_merge(token: str, ranks: Mapping[Pair, int]) -> Pair | None:
    """Merge the characters of ``token`` by priority, the leftmost of equals first, until two parts are left."""
    parts = list(token)
    while len(parts) > 2:
        merges = [(ranks[pair], place) for place, pair in enumerate(pairwise(parts)) if pair in ranks]
        if not merges:
            return None
        _, place = min(merges)
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    last = (parts[0], parts[1])
    return last if last in ranks else None


def in_closed_order(priority: Iterable[str], last: Mapping[str, Pair | None]) -> list[str]:
    """The tokens by priority, each after all that its text is merged through: every head of the list is closed."""
    placed: dict[str, None] = {}
    for token in priority:
        waiting = [token]
        while waiting:
            here = waiting[-1]
            missing = [part for part in last[here] or () if part not in placed]
            if missing:
                waiting.extend(missing)
            else:
                placed[waiting.pop()] = None
    return list(placed)
