"""Recipes: /recipe, /again with a file, and what can be done with any message that holds a picture. Event loop."""

from __future__ import annotations

from typing import Any

import discord
from discord import app_commands

from bot.errors import NotFound
from bot.frontend import pictures
from bot.frontend.answering import take_on
from bot.frontend.app import App, Interaction
from bot.frontend.asking import check_place, requester_of
from bot.frontend.attachments import read
from bot.frontend.components.modals import TEXT, Form
from bot.frontend.wording import described
from bot.jobs import MAX_COUNT
from bot.service import ImageInput, JobSpec, Requester, SubmittedJob
from bot.texts import say

PICTURES = ("image/png", "image/jpeg", "image/webp", "image/gif")


@app_commands.command(name="recipe", description=described("command_recipe"))
@app_commands.describe(job=described("option_job_number"), picture=described("option_picture"))
@app_commands.guild_only()
async def recipe(
    interaction: Interaction, job: app_commands.Range[int, 1], picture: app_commands.Range[int, 1, MAX_COUNT] = 1
) -> None:
    """All that makes a picture again."""
    await pictures.recipe(interaction, job, picture)


@app_commands.command(name="again", description=described("command_again"))
@app_commands.describe(file=described("option_file"), new_seed=described("option_new_seed"))
@app_commands.guild_only()
async def again(interaction: Interaction, file: discord.Attachment, new_seed: bool = False) -> None:
    """Paint by the recipe that a file carries."""

    async def order(requester: Requester) -> SubmittedJob:
        async with interaction.client.room.hold(1):
            data = await read(interaction, file, "file")
            return await interaction.client.service.again_from_file(requester, data, new_seed=new_seed)

    await take_on(interaction, order)


@app_commands.context_menu(name=described("menu_recipe"))
@app_commands.guild_only()
async def show_recipe(interaction: Interaction, message: discord.Message) -> None:
    """The recipe of the job that a message shows."""
    job = await interaction.client.service.archive.job_of_message(requester_of(interaction), message.id)
    if job is None:
        raise NotFound("no_job_in_message")
    await pictures.recipe(interaction, job.id, 1)


@app_commands.context_menu(name=described("menu_imagine"))
@app_commands.guild_only()
async def imagine_like(interaction: Interaction, message: discord.Message) -> None:
    """Paint after the picture in a message: from it, or towards it."""
    requester = requester_of(interaction)
    check_place(interaction)
    found = next((item for item in message.attachments if (item.content_type or "").startswith(PICTURES)), None)
    if found is None:
        raise NotFound("no_picture_in_message")
    job = await interaction.client.service.archive.job_of_message(requester, message.id)
    await interaction.response.send_modal(LikeForm(found, "" if job is None else job.prompt, requester.locale))


class LikeForm(Form):
    """Words, and what the picture is for."""

    def __init__(self, picture: discord.Attachment, prompt: str, locale: str) -> None:
        super().__init__(say("like_title", locale))
        self.picture = picture
        self.prompt: discord.ui.TextInput[Any] = discord.ui.TextInput(
            style=discord.TextStyle.paragraph,
            default=prompt[:TEXT] or None,
            required=False,
            max_length=TEXT,
            custom_id="prompt",
        )
        options = [
            discord.SelectOption(label=say("like_init", locale), value="init", default=True),
            discord.SelectOption(label=say("like_prompt", locale), value="prompt"),
        ]
        self.use: discord.ui.Select[Any] = discord.ui.Select(options=options, custom_id="use")
        self.add_item(discord.ui.Label(text=say("like_words", locale), component=self.prompt))
        self.add_item(discord.ui.Label(text=say("like_use", locale), component=self.use))

    async def on_submit(self, interaction: discord.Interaction[App]) -> None:  # type: ignore[override]
        """Order the picture."""

        async def order(requester: Requester) -> SubmittedJob:
            async with interaction.client.room.hold(1):
                data = await read(interaction, self.picture, "picture")
                spec = JobSpec(prompt=self.prompt.value, init_image=data)
                if self.use.values[0] == "prompt":
                    spec = JobSpec(prompt=self.prompt.value, image_prompts=(ImageInput(data=data),))
                return await interaction.client.service.submit(requester, spec)

        await take_on(interaction, order)
