"""The content of a message, and its two forms for Discord: text with an embed, or Components V2. Pure; any thread.

Discord refuses text and embeds in a message that has the flag of Components V2, and never takes the flag off again. So
a message keeps the form that it began with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from itertools import zip_longest
from typing import Any

import discord

from bot.frontend.messages.job_buttons import ButtonSpec
from bot.frontend.words import as_typed, within
from bot.jobs import Layout
from bot.service import PictureFile

DESCRIPTION = 4_000
"""Approximate limit of an embed's description, in characters."""
TEXTS = 4_000
"""Discord's limit for all texts of a message with components, in characters."""
FOOTER = 300


@dataclass(frozen=True)
class MessageContent:
    """The content of a message. `files` replace its previous files.

    Attributes:
        status: state of the job, in one or two lines.
        lines: the prompt and notes about it; without any, the message has no recipe either.
        footer: the recipe in one line.
        rows: buttons, at most five in a row.
        alt_texts: descriptions of the first files.
        marks: content with equal marks looks the same and needs no edit.
    """

    status: str
    lines: tuple[str, ...] = ()
    footer: str = ""
    colour: int | None = None
    files: tuple[PictureFile, ...] = ()
    rows: tuple[tuple[ButtonSpec, ...], ...] = ()
    spoiler: bool = False
    alt_texts: tuple[str, ...] = ()
    marks: tuple[object, ...] = field(default=(), compare=False)

    def uploads(self) -> list[discord.File]:
        """New file objects, since each can be sent only once."""
        return _uploads(self.files, self.alt_texts, spoiler=self.spoiler)

    def edit(self, layout: Layout) -> dict[str, Any]:
        """The content as keyword arguments of an edit. discord.py may spoil a view that is used twice."""
        files = self.uploads()
        if layout is Layout.COMPONENTS:
            # discord.py applies the client's own allowed mentions only to an edit with content.
            pings = discord.AllowedMentions.none()
            return {"attachments": files, "view": self._components(files), "allowed_mentions": pings}
        return {"content": self.status, "embed": self._embed(), "attachments": files, "view": self._buttons()}

    def message(self, layout: Layout) -> dict[str, Any]:
        """The content as keyword arguments of a new message."""
        values = self.edit(layout)
        values["files"] = values.pop("attachments")
        return {name: value for name, value in values.items() if value}

    def _embed(self) -> discord.Embed | None:
        if not self.lines:
            return None
        embed = discord.Embed(description=within(self.lines, DESCRIPTION), colour=self.colour)
        embed.set_footer(text=self.footer)
        if self.files and not self.spoiler and not self.files[0].moves:
            embed.set_image(url=f"attachment://{self.files[0].name}")
        return embed

    def _buttons(self) -> discord.ui.View:
        view = discord.ui.View(timeout=None)
        for number, row in enumerate(self.rows):
            for spec in row:
                view.add_item(spec.button(number))
        return view

    def _components(self, uploads: Sequence[discord.File]) -> discord.ui.LayoutView:
        """A container: the state, the pictures, their words and recipe, the buttons."""
        inside: discord.ui.Container[Any] = discord.ui.Container(accent_colour=self.colour)
        inside.add_item(discord.ui.TextDisplay(self.status))
        still = [upload for file, upload in zip(self.files, uploads, strict=True) if not file.moves]
        moving = [upload for file, upload in zip(self.files, uploads, strict=True) if file.moves]
        for shown in (still, moving):
            if shown:
                inside.add_item(self._gallery(shown))
        if self.lines:
            footer = f"-# {as_typed(self.footer, FOOTER)}"
            words = within(self.lines, TEXTS - len(self.status) - len(footer) - 1)
            inside.add_item(discord.ui.TextDisplay(f"{words}\n{footer}"))
        for row in self.rows:
            inside.add_item(discord.ui.ActionRow(*(spec.button() for spec in row)))
        return discord.ui.LayoutView(timeout=None).add_item(inside)

    def _gallery(self, uploads: Sequence[discord.File]) -> discord.ui.MediaGallery[Any]:
        return discord.ui.MediaGallery(
            *(
                discord.MediaGalleryItem(upload.uri, description=upload.description, spoiler=self.spoiler)
                for upload in uploads
            )
        )


@dataclass(frozen=True)
class PlainContent:
    """The content of a message that is not a job's: text, files and buttons."""

    content: str
    buttons: discord.ui.View | None = None
    files: tuple[PictureFile, ...] = ()
    alt_texts: tuple[str, ...] = ()

    def uploads(self) -> list[discord.File]:
        """New file objects, since each can be sent only once."""
        return _uploads(self.files, self.alt_texts)


def _uploads(files: Sequence[PictureFile], alt_texts: Sequence[str], *, spoiler: bool = False) -> list[discord.File]:
    described = zip_longest(files, alt_texts[: len(files)])
    return [discord.File(BytesIO(file.data), file.name, spoiler=spoiler, description=text) for file, text in described]
