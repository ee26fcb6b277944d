"""/batch and /compare: many pictures from a list of prompts, or from one prompt with different settings. Event loop."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import discord
from discord import app_commands

from bot.errors import InvalidJobSpec
from bot.frontend.app import Interaction, locale_of
from bot.frontend.asking import check_place
from bot.frontend.attachments import read
from bot.frontend.commands.imagine import MAX_CHOICES, PROMPT_CHARACTERS, complete_prompt
from bot.frontend.commands.presets import complete_options
from bot.frontend.components.batches import OPTIONS as OPTION_CHARACTERS
from bot.frontend.components.batches import BatchForm, ask, ask_about_lines
from bot.frontend.wording import described
from bot.options import OPTIONS, WORDS, Kind, written
from bot.service import JobSpec
from bot.service.requests import new_seed

FILE_BYTES = 64 * 2**10
BESIDE_SETTINGS = ("style", "model")
"""Options that can be compared and are no settings of the generator."""
AXES = tuple(option.name for option in OPTIONS if option.kind is Kind.SETTING or option.name in BESIDE_SETTINGS)
"""Options whose values can be compared."""
VALUES = 200


@app_commands.command(name="batch", description=described("command_batch"))
@app_commands.describe(file=described("option_batch_file"), options=described("option_batch_options"))
@app_commands.autocomplete(options=complete_options)
@app_commands.guild_only()
async def batch(
    interaction: Interaction,
    file: discord.Attachment | None = None,
    options: app_commands.Range[str, 1, OPTION_CHARACTERS] = "",
) -> None:
    """Ask about a batch of the prompts in a file, or of those typed into a modal."""
    check_place(interaction)
    if file is None:
        await BatchForm(options, locale_of(interaction)).open(interaction)
        return
    if file.size > FILE_BYTES:
        raise InvalidJobSpec("batch_file", field="file", most=FILE_BYTES // 2**10)
    async with interaction.client.slots.hold(1):
        data = await read(interaction, file, "file")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise InvalidJobSpec("batch_file", field="file", most=FILE_BYTES // 2**10) from exc
    await ask_about_lines(interaction, text, options, file.filename)


async def complete_axis(interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
    """Options whose names hold the typed text."""
    hits = [name for name in AXES if typed.strip().casefold() in name]
    return [app_commands.Choice(name=name, value=name) for name in hits[:MAX_CHOICES]]


@app_commands.command(name="compare", description=described("command_compare"))
@app_commands.describe(
    prompt=described("option_prompt"),
    x=described("option_compare_x"),
    x_values=described("option_compare_values"),
    y=described("option_compare_y"),
    y_values=described("option_compare_values"),
)
@app_commands.autocomplete(prompt=complete_prompt, x=complete_axis, y=complete_axis)
@app_commands.guild_only()
async def compare(
    interaction: Interaction,
    prompt: app_commands.Range[str, 1, PROMPT_CHARACTERS],
    x: app_commands.Range[str, 1, 40],
    x_values: app_commands.Range[str, 1, VALUES],
    y: app_commands.Range[str, 1, 40] | None = None,
    y_values: app_commands.Range[str, 1, VALUES] | None = None,
) -> None:
    """Ask about a batch with every combination of the values of one or two options, all with the same seed."""
    specs, columns, rows = compared(prompt, x, x_values, y, y_values)
    await ask(interaction, specs, prompt, columns, rows)


def compared(
    prompt: str, x: str, x_values: str, y: str | None, y_values: str | None
) -> tuple[list[JobSpec], list[str], list[str]]:
    """The specs of a comparison row by row, and the labels of its columns and rows.

    Raises:
        InvalidJobSpec: for an option that cannot be compared, twice the same, or one without values.
    """
    if (y is None) != (y_values is None):
        raise InvalidJobSpec("compare_needs_both", field="y")
    axes = [_axis("x", x, x_values)]
    if y is not None and y_values is not None:
        axes.insert(0, _axis("y", y, y_values))
    if len({name for name, _ in axes}) < len(axes):
        raise InvalidJobSpec("compare_twice", field="y", name=axes[0][0])
    # A seed that was typed goes before this one.
    plain = JobSpec(prompt=prompt, options=written({"seed": new_seed()}))
    specs = []
    for chosen in product(*(values for _, values in axes)):
        given = {name: value for (name, _), value in zip(axes, chosen, strict=True)}
        beside: dict[str, Any] = {name: given.pop(name) for name in BESIDE_SETTINGS if name in given}
        specs.append(replace(plain, settings=given, **beside))
    labels = [[f"{name} {value}" for value in values] for name, values in axes]
    return specs, labels[-1], labels[0] if len(labels) > 1 else []


def _axis(field: str, name: str, values: str) -> tuple[str, list[str]]:
    """The option of an axis, and its values without repetitions."""
    option = WORDS.get(name.strip().lstrip("-").casefold().replace("-", "_"))
    if option is None or option.name not in AXES:
        raise InvalidJobSpec("compare_option", field=field, name=name[:40], known=", ".join(AXES))
    found = list(dict.fromkeys(filter(None, map(str.strip, values.split(",")))))
    if not found:
        raise InvalidJobSpec("compare_needs_both", field=f"{field}_values")
    return option.name, found
