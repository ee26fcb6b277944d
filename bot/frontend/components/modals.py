"""Base class of all modals. Event loop."""

from __future__ import annotations

import discord

from bot.frontend.app import App
from bot.frontend.errors import explain

LABEL = 45
"""Discord's limit for titles and labels, in characters."""
TEXT = 4_000
"""Discord's limit for typed text, in characters."""


class Form(discord.ui.Modal):
    """A modal that reports its errors to the person."""

    def __init__(self, title: str) -> None:
        super().__init__(title=title[:LABEL])

    async def on_error(self, interaction: discord.Interaction[App], error: Exception) -> None:  # type: ignore[override]
        """Report the error."""
        await explain(interaction, error)
