"""/gallery: sheets of finished pictures, shown privately. Event loop."""

from __future__ import annotations

import re
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import discord
from discord import app_commands

from bot.frontend.answering import in_time
from bot.frontend.app import Interaction
from bot.frontend.asking import requester_of
from bot.frontend.components.persistent import PersistentButton, PersistentMenu
from bot.frontend.errors import errors_shown
from bot.frontend.messages.content import DESCRIPTION
from bot.frontend.messages.render import ALT_TEXT
from bot.frontend.pictures import show_finished
from bot.frontend.uploads import check
from bot.frontend.wording import described
from bot.frontend.words import as_typed, prompt_as_typed, prompt_label, within
from bot.service import GalleryPage, Requester, Sheet, Whose
from bot.texts import say

PER_PAGE = 9
PROMPT, NAME = 120, 32
SEARCH_CHARACTERS = 50
"""The words of a search are kept in the buttons' ids, of which Discord takes 100 characters."""


class PageButton(
    PersistentButton,
    template=r"reverie-gallery:(?P<whose>mine|server|favourites):(?P<page>\d{1,9})(?::(?P<search>[\s\S]{1,50}))?",
):
    """Button that turns to a page; its id holds the whole query."""

    def __init__(self, whose: str, page: int | str, search: str, item: discord.ui.Button[Any]) -> None:
        super().__init__(item)
        self.whose, self.page, self.search = whose, int(page), search

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Replace the current page."""
        async with errors_shown(interaction):
            await interaction.response.defer()
            values = await _page(interaction, Whose(self.whose), self.search, self.page)
            await interaction.edit_original_response(attachments=values.pop("files"), **values)


class PictureSelect(PersistentMenu, template=r"reverie-open"):
    """Menu that opens one of the page's pictures with its buttons."""

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Show the chosen picture."""
        async with errors_shown(interaction):
            chosen = re.fullmatch(r"(\d{1,18}):(\d)", next(iter(self.item.values), ""))
            job_id, number = (int(chosen[1]), int(chosen[2])) if chosen else (0, 1)
            archive = interaction.client.service.archive
            job = await archive.job(requester_of(interaction), job_id)
            await show_finished(interaction, job, await archive.pictures(job_id), number)


@app_commands.command(name="gallery", description=described("command_gallery"))
@app_commands.describe(
    whose=described("option_whose"), search=described("option_search"), page=described("option_page")
)
@app_commands.choices(
    whose=[app_commands.Choice(name=described(f"gallery_{item.value}"), value=item.value) for item in Whose]
)
@app_commands.guild_only()
async def gallery(
    interaction: Interaction,
    whose: str = Whose.MINE.value,
    search: app_commands.Range[str, 1, SEARCH_CHARACTERS] = "",
    page: app_commands.Range[int, 1] = 1,
) -> None:
    """Show finished pictures, newest first."""
    values = await in_time(interaction, _page(interaction, Whose(whose), search.strip(), page), private=True)
    shown = {name: value for name, value in values.items() if value is not None}
    if interaction.response.is_done():
        await interaction.followup.send(ephemeral=True, **shown)
    else:
        await interaction.response.send_message(ephemeral=True, **shown)


async def _page(interaction: Interaction, whose: Whose, search: str, number: int) -> dict[str, Any]:
    """A page as keyword arguments of a message."""
    requester, archive = requester_of(interaction), interaction.client.service.archive
    page = await archive.gallery(requester, whose, search, page=number, per_page=PER_PAGE)
    names = await interaction.client.names.of(interaction, {entry.job.user_id for entry in page.entries})
    embed, files = _list(page, whose, search, requester, names), list[discord.File]()
    if page.entries:
        sheet = await archive.sheet(requester, page.entries)
        files = [discord.File(BytesIO(sheet.file.data), sheet.file.name, description=_alt_text(page))]
        check(interaction, files)
        embed.set_image(url=f"attachment://{sheet.file.name}")
        embed.description = "\n".join(filter(None, (embed.description, _lost(sheet, requester))))
    return {"embed": embed, "files": files, "view": _controls(page, whose, search, requester)}


def _list(
    page: GalleryPage, whose: Whose, search: str, requester: Requester, names: Mapping[int, str]
) -> discord.Embed:
    locale, lines = requester.locale, []
    for number, entry in enumerate(page.entries, 1):
        job = entry.job
        name = as_typed(names.get(job.user_id) or say("gallery_somebody", locale), NAME)
        lines.append(f"**{number}.** {prompt_as_typed(job.prompt, PROMPT, locale)} · {name} · #{job.id}")
    nothing = say("gallery_nothing_found" if search else f"gallery_empty_{whose.value}", locale)
    title = say(f"gallery_{whose.value}", locale) + (f": {as_typed(search, SEARCH_CHARACTERS)}" if search else "")
    embed = discord.Embed(title=title, description=within(lines, DESCRIPTION) or nothing)
    return embed.set_footer(text=say("gallery_page", locale, page=page.page, pages=page.pages, total=page.total))


def _lost(sheet: Sheet, requester: Requester) -> str:
    """A line about pictures without a file; that happens after a restore of the database alone."""
    return say("gallery_lost", requester.locale, numbers=", ".join(map(str, sheet.lost))) if sheet.lost else ""


def _alt_text(page: GalleryPage) -> str:
    return "; ".join(f"{number}: {entry.job.prompt}" for number, entry in enumerate(page.entries, 1))[:ALT_TEXT]


def _controls(page: GalleryPage, whose: Whose, search: str, requester: Requester) -> discord.ui.View | None:
    if not page.entries:
        return None
    controls = discord.ui.View(timeout=None)
    options = [
        discord.SelectOption(
            label=f"{number}. {prompt_label(entry.job.prompt, requester.locale)}"[:100],
            value=f"{entry.job.id}:{entry.picture.number}",
        )
        for number, entry in enumerate(page.entries, 1)
    ]
    menu: discord.ui.Select[Any] = discord.ui.Select(
        custom_id="reverie-open", options=options, placeholder=say("gallery_open", requester.locale)
    )
    controls.add_item(PictureSelect(menu))
    query = f":{search}" if search else ""
    for sign, number, usable in (("◀", page.page - 1, page.page > 1), ("▶", page.page + 1, page.page < page.pages)):
        button: discord.ui.Button[Any] = discord.ui.Button(
            label=sign, custom_id=f"reverie-gallery:{whose.value}:{max(0, number)}{query}", disabled=not usable
        )
        controls.add_item(PageButton(whose.value, number, search, button))
    return controls
