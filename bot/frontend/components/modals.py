"""Base class of all modals. Event loop.

Discord sends a modal back by its custom id alone, perhaps after a restart. That of a `PersistentForm` holds the values
that it needs, with a mark of the client that opened it: the same client still has the form, another one makes it anew.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any, ClassVar, Self, cast
from urllib.parse import unquote

import discord

from bot.frontend.app import App, Interaction
from bot.frontend.errors import errors_shown, explain

LABEL = 45
"""Discord's limit for titles and labels, in characters."""
TEXT = 4_000
"""Discord's limit for typed text, in characters."""
CUSTOM_ID = 100
"""Discord's limit for custom ids, in characters."""
_PREFIX = "reverie-form"
_ESCAPES = str.maketrans({sign: f"%{ord(sign):02X}" for sign in "%,:"})
"""Characters of a value that stand for others in a custom id."""


class PersistentForm(discord.ui.Modal):
    """A modal that works after a restart; `state` holds the values that `restored` needs, as texts."""

    kind: ClassVar[str]
    """Its name in custom ids."""

    def __init__(self, title: str, *state: str | int) -> None:
        super().__init__(title=title[:LABEL])
        self.state = tuple(map(str, state))

    @classmethod
    async def restored(cls, interaction: Interaction, state: Sequence[str]) -> Self:
        """The modal of an earlier client.

        Raises:
            ValueError: if no modal has this state.
            Refused: if it cannot be used any more.
        """
        raise NotImplementedError

    async def open(self, interaction: Interaction) -> None:
        """Show it as the answer to an interaction."""
        values = ",".join(value.translate(_ESCAPES) for value in self.state)
        unique = secrets.token_urlsafe(6)
        self.custom_id = f"{_PREFIX}:{self.kind}:{interaction.client.mark}:{unique}:{values}"[:CUSTOM_ID]
        await interaction.response.send_modal(self)

    async def on_error(self, interaction: discord.Interaction[App], error: Exception) -> None:  # type: ignore[override]
        """Report the error to the person."""
        await explain(interaction, error)


async def receive(interaction: Interaction, forms: Sequence[type[PersistentForm]]) -> None:
    """Take a modal that an earlier client opened; others are left to discord.py."""
    data = cast("dict[str, Any]", interaction.data or {})
    prefix, *parts = str(data.get("custom_id", "")).split(":")
    if prefix != _PREFIX or len(parts) != 4 or parts[1] == interaction.client.mark:
        return
    known = next((form for form in forms if form.kind == parts[0]), None)
    if known is None:
        return
    async with errors_shown(interaction):
        try:
            form = await known.restored(interaction, [unquote(value) for value in parts[3].split(",")])
        except (ValueError, IndexError):
            return  # Nobody but a forger sends it.
        # discord.py has no public way to hand a modal what was typed into it.
        await form._dispatch_submit(interaction, data["components"], cast("Any", data.get("resolved") or {}))


def upload(custom_id: str, *, least: int = 0, most: int = 1) -> discord.ui.FileUpload[Any]:
    """A field for files; with `least` 0 it may stay empty."""
    return discord.ui.FileUpload(custom_id=custom_id, required=least > 0, min_values=least, max_values=most)


def prompt_field(prompt: str) -> discord.ui.TextInput[Any]:
    """A field for a prompt, which may be left empty."""
    return discord.ui.TextInput(
        style=discord.TextStyle.paragraph,
        default=prompt[:TEXT] or None,
        required=False,
        max_length=TEXT,
        custom_id="prompt",
    )


def labelled(text: str, component: discord.ui.Item[Any], description: str | None = None) -> discord.ui.Label[Any]:
    """A field of a modal with its label."""
    return discord.ui.Label(text=text[:LABEL], component=component, description=description and description[:100])
