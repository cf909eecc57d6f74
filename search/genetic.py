"""A genetic algorithm over the unit cube, with the operators and settings of Compressor (arXiv 2208.07120).

Where the paper's text could not be had, they are those of its authors' published code (github.com/soarsmu/Compressor).
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass

import numpy as np

POPULATION = 50
"""Individuals that survive a generation (the code's default)."""
GENERATIONS = 100
"""Most generations (the code's default)."""
PATIENCE = 5
"""Generations of which no child survives, after which nothing more is expected (assumed; theirs goes on to the end)."""
CROSSOVER = 0.6
"""Probability that two parents are crossed; otherwise both are mutated (the code's default)."""
MAX_MUTATIONS = 5
"""Mutations after which a child that is still no new individual is given up (assumed: theirs would go on for ever in a
space that holds fewer individuals than a population)."""

Genes = tuple[float, ...]
"""Coordinates in [0, 1)."""


@dataclass(frozen=True, slots=True)
class Individual:
    """What some genes express."""

    genes: Genes
    identity: Hashable
    """Equal for genes that express the same."""
    fitness: float


def evolve(express: Callable[[Genes], Individual | None], axes: int, seed: int) -> list[Individual]:
    """The last population, no two of the same identity, the fittest first.

    Two parents are drawn at random, and crossed at one point or both mutated: from a random gene on, all genes are
    drawn anew. A child whose identity is already present is mutated until it is new. Of parents and children together
    the fittest survive. ``express`` gives None for genes that are not allowed to live.
    """
    draws = np.random.default_rng(seed)
    present: dict[Hashable, Individual] = {}

    def born(genes: Genes) -> None:
        for _ in range(MAX_MUTATIONS):
            child = express(genes)
            if child is not None and child.identity not in present:
                present[child.identity] = child
                return
            genes = _mutated(genes, draws)

    for _ in range(POPULATION):
        born(tuple(draws.random(axes).tolist()))
    barren = 0
    for _ in range(GENERATIONS):
        parents = list(present.values())
        if len(parents) < 2 or barren == PATIENCE:
            break
        for _ in range(POPULATION // 2):
            first, second = draws.choice(len(parents), size=2, replace=False)
            for genes in _children(parents[first].genes, parents[second].genes, draws):
                born(genes)
        survivors = sorted(present.values(), key=lambda one: -one.fitness)[:POPULATION]
        present = {one.identity: one for one in survivors}
        barren = barren + 1 if set(present) == {one.identity for one in parents} else 0
    return sorted(present.values(), key=lambda one: -one.fitness)


def _children(first: Genes, second: Genes, draws: np.random.Generator) -> tuple[Genes, Genes]:
    if len(first) > 1 and draws.random() < CROSSOVER:
        cut = int(draws.integers(1, len(first)))
        return first[:cut] + second[cut:], second[:cut] + first[cut:]
    return _mutated(first, draws), _mutated(second, draws)


def _mutated(genes: Genes, draws: np.random.Generator) -> Genes:
    start = int(draws.integers(len(genes)))
    return genes[:start] + tuple(draws.random(len(genes) - start).tolist())
