"""/describe: a picture in words, as the models see it, with buttons that paint them. Event loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import discord
from discord import app_commands

from bot.errors import InvalidJobSpec
from bot.frontend.answering import in_time, reply, take_on
from bot.frontend.app import Interaction, locale_of
from bot.frontend.asking import requester_of
from bot.frontend.attachments import read
from bot.frontend.components.persistent import PersistentButton
from bot.frontend.errors import errors_shown
from bot.frontend.message_pictures import Held, look
from bot.frontend.wording import described
from bot.frontend.words import as_typed
from bot.service import JobSpec
from bot.texts import say
from generator import Answer, Description

LEAST, SURE = 0.05, 0.6
"""Smallest share that is told, and that of a thing from which it is told without a doubt."""
PROMPTS, PROMPT, LABEL, RECIPE = 5, 80, 80, 300
"""Number of prompts that are offered; characters of one, in its button's custom id, of its label, of a recipe's."""
_KINDS = ("things", "colours", "scenes", "styles")


class WordsButton(PersistentButton, template=r"reverie-words:(?P<prompt>.+)"):
    """Button that paints its words."""

    def __init__(self, prompt: str, item: discord.ui.Button[Any]) -> None:
        super().__init__(item)
        self.prompt = prompt

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Submit the job."""
        spec = JobSpec(prompt=self.prompt)
        async with errors_shown(interaction):
            await take_on(interaction, lambda requester: interaction.client.service.submissions.submit(requester, spec))


@app_commands.command(name="describe", description=described("command_describe"))
@app_commands.describe(picture=described("option_describe_picture"))
@app_commands.guild_only()
async def describe(interaction: Interaction, picture: discord.Attachment) -> None:
    """Describe an attached picture."""

    async def data() -> tuple[Description, str]:
        async with interaction.client.slots.hold(1):
            return await _seen(interaction, await read(interaction, picture, "picture"))

    await _answer(interaction, *await in_time(interaction, data(), private=True))


@app_commands.context_menu(name=described("menu_describe"))
@app_commands.guild_only()
async def describe_message(interaction: Interaction, message: discord.Message) -> None:
    """Describe the picture of a message."""
    held: Held = await look(interaction, message)

    async def data() -> tuple[Description, str]:
        async with interaction.client.slots.hold(1):
            return await _seen(interaction, await held.read(interaction, "picture"))

    await _answer(interaction, *await in_time(interaction, data(), private=True))


async def _seen(interaction: Interaction, data: bytes) -> tuple[Description, str]:
    return await interaction.client.service.look(requester_of(interaction), data)


async def _answer(interaction: Interaction, seen: Description, painted_from: str) -> None:
    """Tell the prompt of the picture's recipe and the words with their shares, and offer prompts made of them."""
    locale = locale_of(interaction)
    if painted_from and not _is_sure(seen):
        seen = replace(seen, things=())  # The recipe knows better than a guess.
    lines = [f"**{say('seen_recipe', locale)}**: {as_typed(painted_from, RECIPE)}"] if painted_from else []
    for kind in _KINDS:
        told = [item for item in getattr(seen, kind) if item.share >= LEAST]
        if not told or not told[0].words:  # nothing, or rather no scene than any
            continue
        text = ", ".join(_share(item) for item in told if item.words)
        if kind == "things" and not _is_sure(seen):
            text = say("seen_unsure", locale, things=text)
        lines.append(f"**{say(f'seen_{kind}', locale)}**: {text}")
    if not lines:
        raise InvalidJobSpec("seen_nothing", field="picture")
    buttons = discord.ui.View(timeout=None)
    for number, prompt in enumerate(prompts_of(seen, painted_from), 1):
        lines.append(f"**{number}.** {as_typed(prompt, PROMPT)}")
        item: discord.ui.Button[Any] = discord.ui.Button(
            label=f"{number}. {prompt}"[:LABEL], custom_id=f"reverie-words:{prompt}", emoji="🎨"
        )
        buttons.add_item(WordsButton(prompt, item))
    lines.append(say("seen_note", locale))
    embed = discord.Embed(title=say("seen_title", locale), description="\n".join(lines))
    await reply(interaction, embed=embed, buttons=buttons)


def prompts_of(seen: Description, painted_from: str = "") -> list[str]:
    """The prompt of the recipe, then those that the words make: the fullest first, of other things, without a scene."""
    colour, scene, style = (_first(kind) for kind in (seen.colours, seen.scenes, seen.styles))
    found = [painted_from] if painted_from.strip() else []
    for thing in [item.words for item in seen.things[:3] if item.share >= LEAST]:
        found.append(" ".join(filter(None, (_with_article(f"{colour} {thing}".strip()), scene))))
    if seen.things and seen.things[0].share >= LEAST:
        thing = seen.things[0].words
        plain = _with_article(thing)
        found.append(f"{style} of {_with_article(f'{colour} {thing}'.strip())}" if style else plain)
        found.append(plain)
    return [text for text in dict.fromkeys(found) if len(text) <= PROMPT][:PROMPTS]


def _is_sure(seen: Description) -> bool:
    return bool(seen.things) and seen.things[0].share >= SURE


def _first(answers: Sequence[Answer]) -> str:
    return answers[0].words if answers else ""


def _with_article(words: str) -> str:
    return f"{'an' if words[:1] in 'aeiou' else 'a'} {words}"


def _share(answer: Answer) -> str:
    return f"{answer.words} {answer.share:.0%}"
