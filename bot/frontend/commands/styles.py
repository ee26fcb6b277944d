"""/styles: named prompt snippets; visible to all, added and removed by a server's admins. Event loop."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Any, Self

import discord
from discord import app_commands

from bot.config import MAX_STYLE_CHARACTERS
from bot.frontend.answering import in_time, reply
from bot.frontend.app import App, Interaction, locale_of
from bot.frontend.asking import check_place, requester_of
from bot.frontend.commands.imagine import complete_style
from bot.frontend.components.batches import submit_all
from bot.frontend.components.modals import TEXT as MODAL_TEXT
from bot.frontend.components.modals import PersistentForm
from bot.frontend.components.persistent import PersistentButton, PersistentMenu
from bot.frontend.errors import errors_shown
from bot.frontend.messages.content import DESCRIPTION
from bot.frontend.wording import described
from bot.frontend.words import as_typed, within
from bot.service import JobSpec, Requester, Style
from bot.texts import say

PER_PAGE, NAME, TEXT = 9, 32, 80

styles = app_commands.Group(name="styles", description=described("command_styles"), guild_only=True)


class StylePageButton(PersistentButton, template=r"reverie-styles:(?P<page>\d{1,4})"):
    """Button that turns to a page of styles."""

    def __init__(self, page: int | str, item: discord.ui.Button[Any]) -> None:
        super().__init__(item)
        self.page = int(page)

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Replace the current page."""
        async with errors_shown(interaction):
            await interaction.response.defer()
            values = await _page(interaction, self.page)
            await interaction.edit_original_response(attachments=values.pop("files"), **values)


class StyleSelect(PersistentMenu, template=r"reverie-style"):
    """Menu that asks what to paint in a style."""

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Show the modal."""
        async with errors_shown(interaction):
            requester = requester_of(interaction)
            check_place(interaction)
            name = next(iter(self.item.values), "")
            style = await interaction.client.service.words.style(requester.guild_id, name)
            await StyleForm(style.name, requester.locale).open(interaction)


class StyleForm(PersistentForm):
    """Modal for the prompt."""

    kind = "style"

    def __init__(self, style: str, locale: str) -> None:
        super().__init__(say("style_form", locale, name=style), style)
        self.style = style
        self.prompt: discord.ui.TextInput[Any] = discord.ui.TextInput(
            style=discord.TextStyle.paragraph, max_length=MODAL_TEXT, custom_id="prompt"
        )
        self.add_item(discord.ui.Label(text=say("like_words", locale), component=self.prompt))

    @classmethod
    async def restored(cls, interaction: Interaction, state: Sequence[str]) -> Self:
        """The modal for a style, by its name."""
        return cls(state[0], locale_of(interaction))

    async def on_submit(self, interaction: discord.Interaction[App]) -> None:  # type: ignore[override]
        """Submit the job, or ask about several."""
        await submit_all(interaction, JobSpec(prompt=self.prompt.value, style=self.style))


@styles.command(name="list", description=described("command_styles_list"))
async def show(interaction: Interaction) -> None:
    """Show a sheet of the styles of the server and the host, with a menu to use one."""
    values = await in_time(interaction, _page(interaction, 1), private=True)
    await reply(interaction, embed=values["embed"], files=values["files"], buttons=values["view"])


async def _page(interaction: Interaction, number: int) -> dict[str, Any]:
    """A page as keyword arguments of a message."""
    requester, service = requester_of(interaction), interaction.client.service
    found = await service.words.styles(requester.guild_id)
    pages = max(1, -(-len(found) // PER_PAGE))
    number = min(max(1, number), pages)
    listed = found[(number - 1) * PER_PAGE : number * PER_PAGE]
    lines = [
        f"**{place}.** **{as_typed(style.name, NAME)}**: {as_typed(style.text, TEXT)}"
        for place, style in enumerate(listed, 1)
    ]
    text = within(lines, DESCRIPTION) or say("styles_none", requester.locale)
    embed, files = discord.Embed(title=say("styles_title", requester.locale), description=text), list[discord.File]()
    if pages > 1:
        embed.set_footer(text=say("gallery_page", requester.locale, page=number, pages=pages, total=len(found)))
    if listed:
        starter = interaction.client.config.model_name == "starter"
        sheet = await service.archive.style_sheet(requester, listed, starter=starter)
        if len(sheet.lost) < len(listed):
            alt_text = "; ".join(f"{place}: {style.name}" for place, style in enumerate(listed, 1))
            files = [discord.File(BytesIO(sheet.file.data), sheet.file.name, description=alt_text)]
            embed.set_image(url=f"attachment://{sheet.file.name}")
    return {"embed": embed, "files": files, "view": _controls(listed, number, pages, requester)}


def _controls(listed: Sequence[Style], page: int, pages: int, requester: Requester) -> discord.ui.View | None:
    if not listed:
        return None
    controls = discord.ui.View(timeout=None)
    options = [
        discord.SelectOption(label=f"{place}. {style.name}", value=style.name, description=style.text[:100])
        for place, style in enumerate(listed, 1)
    ]
    menu: discord.ui.Select[Any] = discord.ui.Select(
        custom_id="reverie-style", options=options, placeholder=say("style_use", requester.locale)
    )
    controls.add_item(StyleSelect(menu))
    if pages > 1:
        for sign, number, usable in (("◀", page - 1, page > 1), ("▶", page + 1, page < pages)):
            button: discord.ui.Button[Any] = discord.ui.Button(
                label=sign, custom_id=f"reverie-styles:{number}", disabled=not usable
            )
            controls.add_item(StylePageButton(number, button))
    return controls


@styles.command(name="add", description=described("command_styles_add"))
@app_commands.describe(name=described("option_style_name"), text=described("option_style_text"))
async def add(
    interaction: Interaction,
    name: app_commands.Range[str, 1, 32],
    text: app_commands.Range[str, 1, MAX_STYLE_CHARACTERS],
) -> None:
    """Add or replace a style of the server."""
    requester = requester_of(interaction)
    style = await interaction.client.service.words.add_style(requester, name, text)
    await reply(
        interaction,
        say("style_added", requester.locale, name=as_typed(style.name, NAME), text=as_typed(style.text, 900)),
    )


@styles.command(name="remove", description=described("command_styles_remove"))
@app_commands.describe(name=described("option_style_name"))
@app_commands.autocomplete(name=complete_style)
async def remove(interaction: Interaction, name: app_commands.Range[str, 1, 100]) -> None:
    """Remove a style of the server."""
    requester = requester_of(interaction)
    await interaction.client.service.words.remove_style(requester, name)
    await reply(interaction, say("style_removed", requester.locale, name=as_typed(name, NAME)))
