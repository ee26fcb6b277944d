"""Upload limits: size limits for files and their check. Event loop."""

from __future__ import annotations

from collections.abc import Sequence

import discord

from bot.errors import Refused
from bot.frontend.app import App, Interaction
from bot.service.files.uploads import FILE_BYTES, REQUEST_BYTES


class TooLarge(Refused):
    """The requested file is larger than Discord accepts here."""


def limit_of(interaction: Interaction) -> int:
    """Maximum bytes of one file in an answer, by the person's and the server's level."""
    return min(interaction.filesize_limit, REQUEST_BYTES)


def limit_in(app: App, guild_id: int) -> int:
    """Maximum bytes of one file in a server's message."""
    guild = app.get_guild(guild_id)
    return min(FILE_BYTES if guild is None else guild.filesize_limit, REQUEST_BYTES)


def check(interaction: Interaction, files: Sequence[discord.File]) -> None:
    """Check that Discord accepts the files of an answer.

    Raises:
        TooLarge
    """
    sizes = [file.fp.seek(0, 2) for file in files]
    for file in files:
        file.fp.seek(0)
    if max(sizes, default=0) > limit_of(interaction) or sum(sizes) > REQUEST_BYTES:
        raise TooLarge("upload_too_large")
