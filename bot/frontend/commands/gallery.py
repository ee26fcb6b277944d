"""/gallery: pages of a person's or a server's finished pictures, shown privately. Event loop."""

from __future__ import annotations

import re
from collections.abc import Collection
from io import BytesIO
from typing import Any, Literal, Self, cast

import discord
from discord import app_commands

from bot.errors import NotFound
from bot.frontend.answering import in_time
from bot.frontend.app import Interaction
from bot.frontend.asking import requester_of
from bot.frontend.errors import errors_shown
from bot.frontend.pictures import show_finished
from bot.frontend.uploads import check
from bot.frontend.wording import described
from bot.frontend.words import as_typed
from bot.service import GalleryPage, Requester
from bot.texts import say

PER_PAGE = 4
THUMBNAIL_PX = 384
PROMPT = 120
Whose = Literal["mine", "server"]


class PageButton(
    discord.ui.DynamicItem[discord.ui.Button[Any]], template=r"reverie-gallery:(?P<whose>mine|server):(?P<page>\d{1,9})"
):
    """Button that turns to a page."""

    def __init__(self, whose: str, page: int, item: discord.ui.Button[Any]) -> None:
        super().__init__(item)
        self.whose, self.page = whose, page

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """The button that was pressed."""
        return cls(match["whose"], int(match["page"]), cast("discord.ui.Button[Any]", item))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Replace the current page."""
        async with errors_shown(interaction):
            await interaction.response.defer()
            values = await _page(interaction, self.whose, self.page)
            await interaction.edit_original_response(attachments=values.pop("files"), **values)


class PictureSelect(discord.ui.DynamicItem[discord.ui.Select[Any]], template=r"reverie-open"):
    """Menu that opens one of the page's pictures with its buttons."""

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """The menu that was used."""
        return cls(cast("discord.ui.Select[Any]", item))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Show the chosen picture."""
        async with errors_shown(interaction):
            chosen = re.fullmatch(r"(\d{1,18}):(\d)", next(iter(self.item.values), ""))
            job_id, number = (int(chosen[1]), int(chosen[2])) if chosen else (0, 1)
            archive = interaction.client.service.archive
            job = await archive.job(requester_of(interaction), job_id)
            await show_finished(interaction, job, await archive.pictures(job_id), number)


@app_commands.command(name="gallery", description=described("command_gallery"))
@app_commands.describe(whose=described("option_whose"), page=described("option_page"))
@app_commands.guild_only()
async def gallery(interaction: Interaction, whose: Whose = "mine", page: app_commands.Range[int, 1] = 1) -> None:
    """Show finished pictures, newest first."""
    values = await in_time(interaction, _page(interaction, whose, page), private=True)
    shown = {name: value for name, value in values.items() if value is not None}
    if interaction.response.is_done():
        await interaction.followup.send(ephemeral=True, **shown)
    else:
        await interaction.response.send_message(ephemeral=True, **shown)


async def _page(interaction: Interaction, whose: str, number: int) -> dict[str, Any]:
    """A page as keyword arguments of a message."""
    requester, archive = requester_of(interaction), interaction.client.service.archive
    page = await archive.gallery(requester, mine=whose == "mine", page=number, per_page=PER_PAGE)
    files, lost = [], set[int]()
    for number, entry in enumerate(page.entries, 1):
        try:
            small = await archive.thumbnail(requester, entry.job.id, entry.picture.number, side_px=THUMBNAIL_PX)
        except NotFound:
            lost.add(number)  # Happens after a restore of the database alone; show the other pictures.
            continue
        alt_text = say("alt_text", requester.locale, prompt=entry.job.prompt)[:1_000]
        hidden = entry.picture.flagged and not requester.age_restricted
        files.append(discord.File(BytesIO(small.data), small.name, description=alt_text, spoiler=hidden))
    check(interaction, files)
    return {"embed": _list(page, whose, requester, lost), "files": files, "view": _controls(page, whose, requester)}


def _list(page: GalleryPage, whose: str, requester: Requester, lost: Collection[int]) -> discord.Embed:
    lines = []
    for number, entry in enumerate(page.entries, 1):
        job = entry.job
        line = f"**{number}.** {as_typed(job.prompt, PROMPT) or '–'} · <@{job.user_id}> · #{job.id}"
        lines.append(line + (say("gallery_lost", requester.locale) if number in lost else ""))
    text = "\n".join(lines) or say("gallery_empty", requester.locale)
    embed = discord.Embed(title=say(f"gallery_{whose}", requester.locale), description=text)
    return embed.set_footer(
        text=say("gallery_page", requester.locale, page=page.page, pages=page.pages, total=page.total)
    )


def _controls(page: GalleryPage, whose: str, requester: Requester) -> discord.ui.View | None:
    if not page.entries:
        return None
    controls = discord.ui.View(timeout=None)
    options = [
        discord.SelectOption(
            label=f"{number}. {entry.job.prompt or '–'}"[:100], value=f"{entry.job.id}:{entry.picture.number}"
        )
        for number, entry in enumerate(page.entries, 1)
    ]
    menu: discord.ui.Select[Any] = discord.ui.Select(
        custom_id="reverie-open", options=options, placeholder=say("gallery_open", requester.locale)
    )
    controls.add_item(PictureSelect(menu))
    for sign, number, usable in (("◀", page.page - 1, page.page > 1), ("▶", page.page + 1, page.page < page.pages)):
        button: discord.ui.Button[Any] = discord.ui.Button(
            label=sign, custom_id=f"reverie-gallery:{whose}:{max(0, number)}", disabled=not usable
        )
        controls.add_item(PageButton(whose, number, button))
    return controls
