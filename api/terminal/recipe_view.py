"""A recipe as a person can judge it: values, ranges, regrets, other laws, risks, predictions."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from api.terminal.consoles import printable, short
from api.terminal.sparkline import sparkline

SOURCE_STYLES = {"formula": "bold green", "trial": "green", "target": "cyan", "default": "yellow", "derived": "dim"}
LAW_NAMES = {"step_law": "Step Law", "deepseek": "DeepSeek LLM", "complete_p": "CompleteP"}
Recipe = Mapping[str, Any]


def recipe_view(recipe: Recipe, title: str, every_field: bool = False) -> RenderableType:
    """Everything that is said of a recipe, under one frame; parts that it lacks are left out."""
    parts: list[RenderableType] = [_values(recipe, every_field)]
    if recipe["regrets"]:
        parts += [_heading("What being wrong costs"), _regrets(recipe["regrets"])]
    if recipe["laws"]:
        parts += [_heading("Beside published laws"), _laws(recipe["laws"])]
    for heading, lines in (
        ("How far this reaches beyond the trials", _extrapolation(recipe["extrapolation"])),
        ("Risk of divergence", _divergence(recipe)),
        ("What it starts from, its rounds and its teacher", plan_lines(recipe["plan"])),
        ("What the run takes", _prediction(recipe["prediction"])),
        ("What the scaling law expects", _expectation(recipe["expectation"])),
        ("Its text", _data(recipe["data"])),
    ):
        said = list(lines)
        parts += [_heading(heading), *said] if said else []
    warnings = [Text(f"! {printable(line)}", style="yellow") for line in recipe["warnings"]]
    parts += [_heading("To keep in mind"), *warnings] if warnings else []
    return Panel(Group(*parts), title=f"recipe from {printable(title)}", title_align="left")


def _heading(text: str) -> Text:
    return Text(f"\n{text}", style="bold")


def _values(recipe: Recipe, every_field: bool) -> Table:
    """The recommended fields; those of a trial have no ranges, and all are shown."""
    fields = recipe["fields"]
    recommended = [field for field in fields if field["range"] is not None]
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("field", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("range", no_wrap=True)
    table.add_column("source", no_wrap=True)
    table.add_column("where it comes from, and what the range is", overflow="fold", style="dim")
    for field in fields if every_field or not recommended else recommended:
        style = SOURCE_STYLES.get(field["source"], "")
        why = "; ".join(part for part in (field["reference"], field["note"], _basis(field)) if part)
        table.add_row(
            printable(field["name"].rpartition(".")[2] if not every_field else field["name"]),
            Text(_number(field["value"]), style="bold"),
            _range(field["range"]),
            Text(field["source"], style=style),
            printable(why),
        )
    return table


def _basis(field: Mapping[str, Any]) -> str:
    return f"range: {field['range']['basis']}" if field["range"] else ""


def _range(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return ""
    low, high = found["low"], found["high"]
    if low is None:
        return "unknown" if high is None else f"up to {_number(high)}"
    return f"from {_number(low)}" if high is None else f"{_number(low)} … {_number(high)}"


def _number(value: Any) -> str:
    if value is None:
        return "left out"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer() and abs(value) < 1e15):
        return f"{value:,.0f}"
    return short(value)


def _regrets(curves: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    for style in ("", "cyan", "", "dim"):
        table.add_column(style=style, overflow="fold")
    for curve in curves:
        name, points = printable(curve["name"].rpartition(".")[2]), curve["points"]
        if points:
            bars = sparkline([point["excess"] for point in points])
            table.add_row(name, bars, _span(curve), printable(curve["basis"]))
    unknown = [curve["name"].rpartition(".")[2] for curve in curves if not curve["points"]]
    if unknown:
        table.add_row(", ".join(unknown), "", "unknown", "no law and no trials tell")
    return table


def _span(curve: Mapping[str, Any]) -> str:
    """Both ends of a curve with what they cost, and the interval of the costlier one."""
    first, last = curve["points"][0], curve["points"][-1]
    ends = " … ".join(f"{_number(point['value'])}: {point['excess']:+.3g}" for point in (first, last))
    worst = max(curve["points"], key=lambda point: float(point["excess"]))
    interval = f"at {_number(worst['value'])} {worst['low']:+.3g} to {worst['high']:+.3g}"
    return f"{ends} {printable(curve['metric'])}\n{interval}"


def _laws(laws: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name, justify in (("law", "left"), ("rate", "right"), ("at batch", "right"), ("its best batch", "right")):
        table.add_column(name, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    table.add_column("note", overflow="fold", style="dim")
    for law in laws:
        numbers = [law["learning_rate"], law["batch_tokens"], law["best_batch"]]
        cells = ["" if value is None else _figures(value) for value in numbers]
        own = law["name"] == "this recipe"
        name = printable(LAW_NAMES.get(law["name"], law["name"]))
        table.add_row(Text(name, style="bold" if own else ""), *cells, printable(f"{law['source']}; {law['note']}"))
    return table


def _figures(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _extrapolation(factors: Mapping[str, float]) -> Iterator[Text]:
    words = [f"×{factor:.3g} in {printable(name)}" for name, factor in factors.items()]
    if words:
        yield Text(f"{', '.join(words)} (×1 is inside)")


def _divergence(recipe: Recipe) -> Iterator[Text]:
    risk = recipe["divergence"]
    if risk is None:
        if recipe["regrets"]:
            yield Text("unknown: no trials bracket a best rate", style="dim")
        return
    share = "no run" if not risk["runs"] else f"{risk['diverged']} of {risk['runs']} runs"
    yield Text.assemble(
        (f"{risk['low']:.1%} to {risk['high']:.1%}", "bold"),
        f" ({risk['level']:.0%}): {share} within ×{short(risk['window'])} of the best rate of their size and batch "
        "diverged",
    )
    nearest, highest = risk["nearest_diverged"], risk["highest_stable"]
    yield Text(
        f"the lowest rate that diverged was ×{nearest:.3g} the best one of its size and batch"
        if nearest is not None
        else f"no rate diverged, up to ×{highest:.3g} the best one"
    )
    yield Text(printable(risk["note"]), style="dim")


def _prediction(found: Mapping[str, Any] | None) -> Iterator[Text]:
    if found is None:
        return
    yield Text(
        f"{found['total_parameters']:,} parameters, {found['embedding_share']:.1%} of them in embedding and head; "
        f"{found['steps']:,} steps, {found['train_flops']:.3g} FLOPs"
    )
    if found["days"] is not None:
        low, high = found["days"]
        gpus = f" on {found['gpus']:,} GPU{'' if found['gpus'] == 1 else 's'}"
        words = " to ".join(dict.fromkeys((_days(low), _days(high))))
        yield Text.assemble((words, "bold"), gpus, f"; MFU {printable(found['mfu_basis'])}")
    if found["memory_bytes"] is not None:
        limit = found["memory_limit_bytes"]
        beside = f" of {limit / 2**30:.1f} GiB that it can give" if limit is not None else ""
        yield Text(f"{found['memory_bytes'] / 2**30:.2f} GiB on a GPU{beside}")
        yield Text(printable(found["memory_basis"]), style="dim")


def plan_lines(plan: Mapping[str, Any] | None) -> Iterator[Text]:
    """Parent, rounds and teacher, and the tokens that all of it comes to."""
    if plan is None:
        return
    if plan["start"] is not None:
        yield from _start(plan["start"])
    for part in plan["rounds"] if len(plan["rounds"]) > 1 else ():
        length = f"{part['share']:.1%} of the steps" if part["tokens"] is None else f"{part['tokens']:,} tokens"
        yield Text.assemble(f"round {part['number']}: ", (length, "bold"), f", {printable(part['reads'])}")
    teacher = plan["teacher"]
    if teacher is not None:
        yield Text(
            f"teacher {printable(teacher['teacher'])} of {teacher['teacher_parameters']:,} parameters: "
            f"{short(teacher['weight'])} of the loss at temperature {short(teacher['temperature'])}, "
            f"{teacher['flops_per_token']:.3g} FLOPs a token"
        )
    if plan["tokens"] is not None:
        cost = f"{plan['tokens']:,} training tokens"
        if plan["start"] is not None or teacher is not None:
            cost += f"; with what inheriting and a teacher take, the FLOPs of {plan['total_tokens']:,.0f}"
        yield Text(cost)


def _start(start: Mapping[str, Any]) -> Iterator[Text]:
    yield Text.assemble(
        "weights inherited from ",
        (printable(start["parent"]), "bold"),
        f" of {start['parent_parameters']:,} parameters: {start['depth']} of {start['parent_depth']} layers by "
        f"{printable(start['layers'])}, channels and heads by {printable(start['neurons'])}",
    )
    trained = start["parent_train_flops"]
    known = "unknown" if trained is None else f"{trained:.3g} FLOPs"
    yield Text(f"choosing them: {start['flops']:.3g} FLOPs; training the parent: {known}")
    yield Text(printable(start["basis"]), style="dim")


def _days(days: float) -> str:
    if days >= 1:
        return f"{days:,.1f} days"
    if days * 24 >= 1:
        return f"{days * 24:.1f} hours"
    return f"{days * 1440:.2g} minutes" if days * 1440 >= 1 else f"{days * 86_400:.2g} seconds"


def _expectation(found: Mapping[str, Any] | None) -> Iterator[Text]:
    if found is None:
        return
    interval = f" ({found['low']:.4g} to {found['high']:.4g})"
    yield Text.assemble((f"{found['estimate']:.4g}", "bold"), f" {printable(found['metric'])}{interval}")
    if found["optimal_parameters"] is not None and found["optimal_tokens"] is not None:
        sizes = f"{found['optimal_parameters']:.3g} parameters and {found['optimal_tokens']:.3g} tokens"
        yield Text(f"the same compute would be best spent on {sizes}")
    yield Text(printable(found["basis"]), style="dim")


def _data(found: Mapping[str, Any] | None) -> Iterator[Text]:
    if found is None:
        return
    if found["unique_tokens"] is None:
        yield Text(f"unknown: {printable(found['basis'])}", style="dim")
        return
    yield Text(
        f"{found['unique_tokens']:,.0f} unique tokens: {found['epochs']:.3g} epochs, worth about "
        f"{found['effective_tokens']:,.0f} tokens seen once"
    )
    yield Text(printable(found["basis"]), style="dim")
