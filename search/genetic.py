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
PATIENCE = 3
"""Generations of which no child survives, after which nothing more is expected (assumed: in four spaces going on to
the end as theirs does gained at most 1 % of FLOPs). One without any new child ends it at once."""
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
    population: dict[Hashable, Individual] = {}
    for _ in range(POPULATION):
        _bear(tuple(draws.random(axes).tolist()), population, express, draws)
    barren = 0
    for _ in range(GENERATIONS):
        if len(population) < 2 or barren == PATIENCE:
            break
        parents, grown = list(population.values()), dict(population)
        for _ in range(POPULATION // 2):
            first, second = draws.choice(len(parents), size=2, replace=False)
            for genes in _children(parents[first].genes, parents[second].genes, draws):
                _bear(genes, grown, express, draws)
        if len(grown) == len(parents):
            break
        survivors = _fittest_first(grown)[:POPULATION]
        barren = barren + 1 if all(one.identity in population for one in survivors) else 0
        population = {one.identity: one for one in survivors}
    return _fittest_first(population)


def _bear(
    genes: Genes,
    population: dict[Hashable, Individual],
    express: Callable[[Genes], Individual | None],
    draws: np.random.Generator,
) -> None:
    """Add the individual of these genes, mutated as often as it takes to be a new one."""
    for _ in range(MAX_MUTATIONS):
        child = express(genes)
        if child is not None and child.identity not in population:
            population[child.identity] = child
            return
        genes = _mutated(genes, draws)


def _fittest_first(population: dict[Hashable, Individual]) -> list[Individual]:
    return sorted(population.values(), key=lambda one: -one.fitness)


def _children(first: Genes, second: Genes, draws: np.random.Generator) -> tuple[Genes, Genes]:
    if len(first) > 1 and draws.random() < CROSSOVER:
        cut = int(draws.integers(1, len(first)))
        return first[:cut] + second[cut:], second[:cut] + first[cut:]
    return _mutated(first, draws), _mutated(second, draws)


def _mutated(genes: Genes, draws: np.random.Generator) -> Genes:
    start = int(draws.integers(len(genes)))
    return genes[:start] + tuple(draws.random(len(genes) - start).tolist())
