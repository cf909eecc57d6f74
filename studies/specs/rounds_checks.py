"""What a spec says about several rounds of training."""

from collections.abc import Iterator

from model.errors import InvalidInput
from studies.spec import StudySpec, declared_values
from trainer.config import ProxySettings

OF_LATER_ROUNDS = ("sampling_rate", "parts", "round_selection", "round_losses")
"""Parameters that nothing but a later round reads."""


def check_rounds(spec: StudySpec) -> None:
    """Check that what later rounds read has later rounds to read it, and that no run is cut short between them.

    Raises:
        InvalidInput: every run has one round and the space varies what later ones read, or runs of several rounds have
            annealed evaluations, which a scheduler compares.
    """
    field, rounds = declared_values(spec, "rounds")
    if max(rounds) == 1:
        varied = [
            (part, name) for part in ("space", "inner") for name in OF_LATER_ROUNDS if name in getattr(spec, part)
        ]
        for part, name in varied:
            reason = "every run has one round, and only a later one reads it"
            raise InvalidInput(f"{part}.{name}", reason, "vary rounds, write proxy.rounds: 2, or leave it out")
        return
    if spec.proxy.annealed_evaluations:
        shorter = "an annealed evaluation is that of a shorter run, whose rounds would be others"
        if spec.scheduler.kind != "none":
            reason = f"reaches {max(rounds)}, and {spec.scheduler.kind} compares annealed losses: {shorter}"
            raise InvalidInput(field, reason, "use scheduler none, or rounds: 1")
        reason = f"{shorter}, and rounds reach {max(rounds)}"
        raise InvalidInput("proxy.annealed_evaluations", reason, "write false, or rounds: 1")


def rounds_warnings(spec: StudySpec) -> Iterator[str]:
    """Settings of later rounds that some trials do not read."""
    _, rounds = declared_values(spec, "rounds")
    if max(rounds) == 1:
        yield from (
            f"proxy.{name}: every run has one round, so that nothing reads it"
            for name in OF_LATER_ROUNDS
            if getattr(spec.proxy, name) != ProxySettings.model_fields[name].default
        )
        return
    if min(rounds) > 1 or "rounds" not in spec.space.keys() | spec.inner.keys():
        return
    for name in OF_LATER_ROUNDS:
        if name in spec.inner or (name in spec.space and 1 in spec.conditions.get(name, {}).get("rounds", (1,))):
            part = "space" if name in spec.space else "inner"
            yield (
                f"{part}.{name}: trials of one round are trained once for each of its values, which they do not read; "
                f"have it and rounds in space, with conditions: {{{name}: {{rounds: [2, …]}}}}"
            )
