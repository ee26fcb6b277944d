"""Base classes of buttons and menus that work after a restart: their custom id holds all that they need. Event loop."""

from __future__ import annotations

import re
from typing import Any, Self, cast

import discord

NEVER = r"(?!)"
"""Template that matches no custom id; each subclass has its own."""


class PersistentButton(discord.ui.DynamicItem[discord.ui.Button[Any]], template=NEVER):
    """Button whose constructor takes the named groups of its template, as text, beside `item`."""

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """The button that was pressed."""
        return cast("Self", cast("Any", cls)(**match.groupdict(""), item=item))


class PersistentMenu(discord.ui.DynamicItem[discord.ui.Select[Any]], template=NEVER):
    """Menu whose constructor takes the named groups of its template, as text, beside `item`."""

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """The menu that was used."""
        return cast("Self", cast("Any", cls)(**match.groupdict(""), item=item))
