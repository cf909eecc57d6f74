"""Which observations belong to one lr x batch grid: everything fixed but learning rate, batch and seed."""

from collections.abc import Hashable, Iterable, Mapping, Sequence

from studies.formulas.observations import Observation, group_by, levels, parameter_key

INNER = frozenset({"learning_rate", "batch_tokens", "seed"})
NOT_SPLITTING = INNER | {"training_seconds", "evaluation_seconds", "decoding_seconds", "peak_memory_bytes"}
"""Attributes that never tell grids apart: what varies inside one, and what differs between runs of one config."""
SIZE_COLUMNS = ("total_parameters", "non_embedding_parameters", "train_tokens", "train_bytes")
SIZE_TOLERANCE = 0.05
"""Sizes and lengths closer than this are one level: they differ by rounding to whole batches (assumed)."""
MIN_RATES = 3

Keys = dict[int, tuple[Hashable, ...]]


def grid_groups(observations: Sequence[Observation]) -> tuple[list[list[Observation]], tuple[str, ...]]:
    """Split into grids.

    All parameters but rate, batch and seed split. Sizes, lengths and attributes (the other columns of an imported
    table) split if, within their levels, most runs still lie in grids of at least two batches with three rates each:
    so model size and tokens separate grids, while the number of steps, which follows from the batch, does not.

    Returns:
        The groups, and the names of the columns that split.
    """
    keys: Keys = {index: parameter_key(row, INNER) for index, row in enumerate(observations)}
    varied = {name for name in _names(observations, "parameters") if name not in INNER}
    splitting = [name for name in sorted(varied) if len({row.parameters.get(name) for row in observations}) > 1]
    for name in (*SIZE_COLUMNS, *sorted(_names(observations, "attributes") - NOT_SPLITTING)):
        level = _level(observations, name, keys)
        finer = {index: (*key, level[index]) for index, key in keys.items()}
        if len(set(finer.values())) > len(set(keys.values())) and _mostly_grids(observations, finer):
            keys = finer
            splitting.append(name)
    members: dict[tuple[Hashable, ...], list[Observation]] = {}
    for index, key in keys.items():
        members.setdefault(key, []).append(observations[index])
    return list(members.values()), tuple(splitting)


def _names(observations: Sequence[Observation], side: str) -> set[str]:
    rows: Iterable[Mapping[str, object]] = (getattr(row, side) for row in observations)
    return {name for row in rows for name in row}


def _level(observations: Sequence[Observation], name: str, keys: Keys) -> list[Hashable]:
    """Level of each row; a row without the column (a failed run) takes that of its group if there is only one."""
    numbers = [row.number_of(name) for row in observations]
    level = levels([number for number in numbers if number is not None], SIZE_TOLERANCE)
    found: list[Hashable] = [
        row.attributes.get(name) if number is None else level[number]
        for row, number in zip(observations, numbers, strict=True)
    ]
    in_group: dict[tuple[Hashable, ...], set[Hashable]] = {}
    for index, key in keys.items():
        if found[index] is not None:
            in_group.setdefault(key, set()).add(found[index])
    for index, key in keys.items():
        if found[index] is None and len(in_group.get(key, ())) == 1:
            (found[index],) = in_group[key]
    return found


def _mostly_grids(observations: Sequence[Observation], keys: Keys) -> bool:
    members: dict[tuple[Hashable, ...], list[Observation]] = {}
    for index, key in keys.items():
        members.setdefault(key, []).append(observations[index])
    inside = sum(len(rows) for rows in members.values() if _is_grid(rows))
    return 2 * inside >= len(observations)


def _is_grid(rows: Sequence[Observation]) -> bool:
    batches = group_by(rows, lambda row: row.number_of("batch_tokens"))
    wide = [batch for batch in batches.values() if len({row.number_of("learning_rate") for row in batch}) >= MIN_RATES]
    return len(wide) >= 2
