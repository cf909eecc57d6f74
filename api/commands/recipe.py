"""``formulary recipe``: the config that follows from what a study found, and what to think of it."""

from pathlib import Path
from typing import Annotated

import typer

from api.client import connect
from api.commands.options import JsonOption, WithOption, examples, placed
from api.commands.targets import (
    BatchOption,
    FlopsOption,
    GpuOption,
    GpusOption,
    MemoryOption,
    ParentOption,
    SizeOption,
    SpeedOption,
    TeacherOption,
    TokensOption,
    asked_target,
    named_folders,
)
from api.settings import Settings
from api.terminal.consoles import results
from api.terminal.recipe_view import recipe_view
from api.terminal.streams import print_json
from model.errors import InvalidInput

StudyOption = Annotated[int | None, typer.Argument(metavar="[ID]", help="The study's id; none with --preset.", min=1)]
PresetOption = Annotated[str | None, typer.Option("--preset", help="Published findings instead of a study: paper.")]
AllOption = Annotated[bool, typer.Option("--all", help="Show every field, not the recommended ones alone.")]

EXAMPLES = examples(
    "formulary recipe 3 --total-parameters 10M --tokens 200M",
    "formulary recipe 3 --total-parameters 300M --tokens 6B --gpus 8 --gpu h100 --max-batch-tokens 1M",
    "formulary recipe --preset paper --total-parameters 1e9 --tokens 1.6e12",
)


@placed
def show_recipe(
    settings: Settings,
    study: StudyOption = None,
    preset: PresetOption = None,
    total_parameters: SizeOption = None,
    tokens: TokensOption = None,
    gpus: GpusOption = None,
    gpu: GpuOption = None,
    gpu_memory_gib: MemoryOption = None,
    gpu_peak_flops: FlopsOption = None,
    decode_tokens_per_second: SpeedOption = None,
    max_batch_tokens: BatchOption = None,
    parent: ParentOption = None,
    teacher: TeacherOption = None,
    others: WithOption = None,
    every_field: AllOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show the config for a model that no trial was: each value with its source, its range and what being wrong costs.

    Beside it stand what published laws give, the risk of divergence, and the memory, FLOPs and days that the run takes.
    Without a target it is the best trial's. `formulary export` writes it.
    """
    asked = asked_target(
        **{"with": others or None},
        total_parameters=total_parameters,
        tokens=tokens,
        gpus=gpus,
        gpu=gpu,
        gpu_memory_gib=gpu_memory_gib,
        gpu_peak_flops=gpu_peak_flops,
        decode_tokens_per_second=decode_tokens_per_second,
        max_batch_tokens=max_batch_tokens,
        parent=parent,
        teacher=teacher,
    )
    if (study is None) == (preset is None):
        raise InvalidInput("ID", "a recipe is made from one study or one preset", "give a study's id or --preset paper")
    with connect(settings.for_operator(Path(), named_folders(parent, teacher))) as client:
        recipe = client.preset_recipe(preset, asked) if preset is not None else client.recipe(study or 0, asked)
    if as_json:
        print_json(recipe)
        return
    title = f"preset {preset}" if preset is not None else f"study {study}"
    results().print(recipe_view(recipe, title, every_field))
