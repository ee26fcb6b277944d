"""Recipes: /recipe, /again with a file, and context menus for messages with a picture. Event loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self

import discord
from discord import app_commands

from bot.errors import NotFound
from bot.frontend import pictures
from bot.frontend.answering import take_on
from bot.frontend.app import App, Interaction, locale_of
from bot.frontend.asking import check_place, requester_of
from bot.frontend.attachments import read
from bot.frontend.components.modals import PersistentForm, labelled, prompt_field, upload
from bot.frontend.message_pictures import Held, job_of, look
from bot.frontend.messages.discord_errors import TROUBLE
from bot.frontend.wording import described
from bot.jobs import MAX_COUNT
from bot.service import ImageInput, JobSpec, Requester, SubmittedJob
from bot.texts import say

MAX_FURTHER = 4
"""Further image prompts beside the message's picture."""


@app_commands.command(name="recipe", description=described("command_recipe"))
@app_commands.describe(job=described("option_job_number"), picture=described("option_picture"))
@app_commands.guild_only()
async def recipe(
    interaction: Interaction, job: app_commands.Range[int, 1], picture: app_commands.Range[int, 1, MAX_COUNT] = 1
) -> None:
    """Show the recipe that makes a picture again."""
    await pictures.recipe(interaction, job, picture)


@app_commands.command(name="again", description=described("command_again"))
@app_commands.describe(file=described("option_file"), new_seed=described("option_new_seed"))
@app_commands.guild_only()
async def again(interaction: Interaction, file: discord.Attachment, new_seed: bool = False) -> None:
    """Submit a job from the recipe in a file."""

    async def order(requester: Requester) -> SubmittedJob:
        async with interaction.client.slots.hold(1):
            data = await read(interaction, file, "file")
            return await interaction.client.service.submissions.again_from_file(requester, data, new_seed=new_seed)

    await take_on(interaction, order)


@app_commands.context_menu(name=described("menu_recipe"))
@app_commands.guild_only()
async def show_recipe(interaction: Interaction, message: discord.Message) -> None:
    """Show the recipe of a message's job."""
    job = await job_of(interaction, message)
    if job is None:
        raise NotFound("no_job_in_message")
    await pictures.recipe(interaction, job.id, 1)


@app_commands.context_menu(name=described("menu_imagine"))
@app_commands.guild_only()
async def imagine_like(interaction: Interaction, message: discord.Message) -> None:
    """Submit a job that starts from a message's picture or uses it as an image prompt."""
    requester = requester_of(interaction)
    check_place(interaction)
    await LikeForm(message.id, await look(interaction, message), requester.locale).open(interaction)


class LikeForm(PersistentForm):
    """Modal for the prompt and the use of the picture, and for further pictures."""

    kind = "like"

    def __init__(self, message_id: int, held: Held, locale: str) -> None:
        super().__init__(say("like_title", locale), message_id)
        self.held, prompt = held, "" if held.job is None else held.job.prompt
        self.prompt = prompt_field(prompt)
        options = [
            discord.SelectOption(label=say("like_init", locale), value="init", default=True),
            discord.SelectOption(label=say("like_prompt", locale), value="prompt"),
        ]
        self.use: discord.ui.Select[Any] = discord.ui.Select(options=options, custom_id="use")
        self.further, self.mask = upload("further", most=MAX_FURTHER), upload("mask")
        self.add_item(labelled(say("like_words", locale), self.prompt))
        self.add_item(labelled(say("like_use", locale), self.use))
        self.add_item(labelled(say("remix_image_prompts", locale), self.further, say("like_further_how", locale)))
        self.add_item(labelled(say("remix_mask", locale), self.mask, say("like_mask_how", locale)))

    @classmethod
    async def restored(cls, interaction: Interaction, state: Sequence[str]) -> Self:
        """The modal for a message of this channel."""
        channel = interaction.channel
        if not isinstance(channel, discord.abc.Messageable):
            raise NotFound("no_picture_in_message")
        try:
            message = await channel.fetch_message(int(state[0]))
        except TROUBLE as exc:
            raise NotFound("no_picture_in_message") from exc
        return cls(message.id, await look(interaction, message), locale_of(interaction))

    async def on_submit(self, interaction: discord.Interaction[App]) -> None:  # type: ignore[override]
        """Submit the job."""

        async def order(requester: Requester) -> SubmittedJob:
            async with interaction.client.slots.hold(1 + len(self.further.values) + len(self.mask.values)):
                data = await self.held.read(interaction, "picture")
                further = [await read(interaction, file, "image_prompt") for file in self.further.values]
                mask = [await read(interaction, file, "mask") for file in self.mask.values]
                like = self.held.job
                spec = spec_of(data, self.prompt.value, self.use.values[0], like is not None and like.private)
                spec = replace(
                    spec,
                    image_prompts=spec.image_prompts + tuple(ImageInput(data=item) for item in further),
                    mask=next(iter(mask), None),
                    source=None if like is None else (like.id, 1),
                )
                return await interaction.client.service.submissions.submit(requester, spec)

        await take_on(interaction, order)


def spec_of(picture: bytes, prompt: str, use: str, private: bool) -> JobSpec:
    """A job spec from the modal and the bytes of the picture; `use` is "init" or "prompt"."""
    spec = JobSpec(prompt=prompt, init_image=picture, private=private or None)
    if use == "prompt":
        return replace(spec, init_image=None, image_prompts=(ImageInput(data=picture),))
    return spec
