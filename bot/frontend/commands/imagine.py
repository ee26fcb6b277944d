"""/imagine: a prompt and, optionally, all settings under the generator's names. Event loop."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import Field, fields, replace
from typing import Any

import discord
from discord import app_commands

from bot.errors import InvalidJobSpec
from bot.frontend.answering import take_on
from bot.frontend.app import Interaction, locale_of
from bot.frontend.attachments import read
from bot.frontend.components import batches
from bot.frontend.wording import described
from bot.jobs import MAX_COUNT
from bot.options import OF_COMMAND, Kind, shaped, suggestions
from bot.service import ImageInput, JobSpec, Requester, SubmittedJob
from bot.texts import say
from generator import MAX_WEIGHT, Settings

PROMPT_CHARACTERS = 6_000
"""Discord's limit for an option; the generator reports the part that it uses."""
NOT_TYPED = ("parent",)
"""Starts available only through buttons."""
RATIOS = ((1, 1), (4, 3), (3, 4), (3, 2), (2, 3), (16, 9), (9, 16), (2, 1), (1, 2))
AREAS = (256, 384, 512, 768, 1024)
"""Sides of the squares with as many pixels as the offered sizes."""
MAX_CHOICES, CHOICE_CHARACTERS = 25, 100
_SLASH_SETTINGS = tuple(option.name for option in OF_COMMAND if option.kind in (Kind.SETTING, Kind.WORDS))
_SETTINGS: dict[str, Field[Any]] = {item.name: item for item in fields(Settings)}


def command() -> app_commands.Command[Any, ..., Any]:
    """Build the command; its options come from the generator's settings."""
    options = [
        _option("prompt", app_commands.Range[str, 1, PROMPT_CHARACTERS]),
        *(_setting(option.name) if option.name in _SLASH_SETTINGS else _OTHERS[option.name] for option in OF_COMMAND),
    ]

    async def imagine(interaction: Interaction, /, **given: Any) -> None:  # noqa: ANN401 - values of any option
        files = [name for name, value in given.items() if isinstance(value, discord.Attachment)]
        expansion = await interaction.client.service.batches.expand(interaction.guild_id or 0, given["prompt"])
        if len(expansion.prompts) == 1:
            given["prompt"] = expansion.prompts[0]
            await take_on(interaction, lambda requester: _order(interaction, requester, given))
            return
        if files:
            raise InvalidJobSpec("batch_no_files", field=files[0])
        spec = spec_of(given, {})
        specs = [replace(spec, prompt=prompt) for prompt in expansion.prompts]
        await batches.ask(interaction, specs, spec.prompt, *expansion.axes)

    first = inspect.Parameter("interaction", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    imagine.__signature__ = inspect.Signature([first, *options])  # type: ignore[attr-defined]  # read by discord.py
    app_commands.describe(**{item.name: described(f"option_{item.name}") for item in options})(imagine)
    app_commands.choices(
        start=[app_commands.Choice(name=name, value=name) for name in _choices("start")],
        optimiser=[app_commands.Choice(name=name, value=name) for name in _choices("optimiser")],
    )(imagine)
    app_commands.autocomplete(prompt=complete_prompt, size=complete_size, style=complete_style, model=complete_model)(
        imagine
    )
    return app_commands.guild_only(
        app_commands.Command(name="imagine", description=described("command_imagine"), callback=imagine)
    )


async def complete_prompt(interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
    """The prompt as it is, then with an option or a style at its end; Discord takes 100 characters of each."""
    styles = await interaction.client.service.words.styles(interaction.guild_id or 0)
    presets = await interaction.client.service.presets.known(interaction.guild_id or 0, interaction.user.id)
    names = [style.name for style in styles], [preset.name for preset in presets]
    found = [typed.strip(), *suggestions(typed, *names)]
    fitting = [text for text in dict.fromkeys(found) if 0 < len(text) <= CHOICE_CHARACTERS]
    return [app_commands.Choice(name=text, value=text) for text in fitting[:MAX_CHOICES]]


async def complete_size(interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
    """Sizes by aspect ratio, within this server's limit, filtered by the typed text."""
    limits = await interaction.client.service.guilds.limits(interaction.guild_id or 0, _roles(interaction))
    found = []
    for side in AREAS:
        for ratio in RATIOS:
            width, height = shaped(ratio, side)
            name = say("size_choice", locale_of(interaction), size=f"{width}x{height}", ratio=f"{ratio[0]}:{ratio[1]}")
            if max(width, height) <= limits.size_px and typed.strip().lower() in name.lower():
                found.append(app_commands.Choice(name=name, value=f"{width}x{height}"))
    return found[-MAX_CHOICES:] if not typed else found[:MAX_CHOICES]


async def complete_style(interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
    """Styles of the server and the host whose name or text contains the typed text."""
    styles = await interaction.client.service.words.styles(interaction.guild_id or 0)
    wanted = typed.strip().casefold()
    hits = [style for style in styles if wanted in style.name.casefold() or wanted in style.text.casefold()]
    return [
        app_commands.Choice(name=f"{style.name}: {style.text}"[:100], value=style.name) for style in hits[:MAX_CHOICES]
    ]


async def complete_model(interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
    """Model sets that the server may use, the person's default or the server's first."""
    service = interaction.client.service
    models = await service.guilds.models(interaction.guild_id or 0)
    own = (await service.personal_settings.of(interaction.user.id)).model
    names = dict.fromkeys((models.without_choice(own), *models.allowed))
    hits = [name for name in names if typed.strip().lower() in name.lower()]
    return [app_commands.Choice(name=name, value=name) for name in hits[:MAX_CHOICES]]


async def _order(interaction: Interaction, requester: Requester, given: Mapping[str, Any]) -> SubmittedJob:
    files = {name: given[name] for name in ("init_image", "mask", "image_prompt") if given[name] is not None}
    async with interaction.client.slots.hold(len(files)):
        data = {name: await read(interaction, file, name) for name, file in files.items()}
        return await interaction.client.service.submissions.submit(requester, spec_of(given, data))


def spec_of(given: Mapping[str, Any], data: Mapping[str, bytes]) -> JobSpec:
    """A job spec from the typed options and the bytes of the attachments."""
    image_prompt = data.get("image_prompt")
    return JobSpec(
        prompt=given["prompt"],
        settings={name: given[name] for name in _SLASH_SETTINGS if given[name] is not None},
        negative=given["negative"],
        style=given["style"],
        model=given["model"],
        init_image=data.get("init_image"),
        mask=data.get("mask"),
        image_prompts=() if image_prompt is None else (ImageInput(data=image_prompt, weight=given["image_weight"]),),
        count=given["count"],
        private=given["private"],
        timelapse=given["timelapse"],
    )


def _option(name: str, kind: object, default: object = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=kind, default=default)


def _setting(name: str) -> inspect.Parameter:
    """The option for a setting, with the generator's range."""
    item = _SETTINGS[name]
    kind: object = str
    if item.type in ("int", "float"):
        number = int if item.type == "int" else float
        kind = app_commands.Range[number, number(item.metadata["low"]), number(item.metadata["high"])]
    return _option(name, kind, None)


_OTHERS = {
    item.name: item
    for item in (
        _option("init_image", discord.Attachment, None),
        _option("mask", discord.Attachment, None),
        _option("image_prompt", discord.Attachment, None),
        _option("image_weight", app_commands.Range[float, -MAX_WEIGHT, MAX_WEIGHT], 1.0),
        _option("style", str, None),
        _option("model", str, None),
        _option("negative", app_commands.Range[str, 1, 1_000], ""),
        _option("count", app_commands.Range[int, 1, MAX_COUNT], 1),
        _option("timelapse", bool, False),
        _option("private", bool, None),
    )
}
"""The options that are no settings of the generator."""


def _choices(name: str) -> tuple[str, ...]:
    return tuple(value for value in _SETTINGS[name].metadata["choices"] if value not in NOT_TYPED)


def _roles(interaction: Interaction) -> frozenset[int]:
    member = interaction.user
    return frozenset(role.id for role in member.roles) if isinstance(member, discord.Member) else frozenset()
