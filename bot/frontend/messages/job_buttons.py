"""The buttons below a job's message: their labels, and the way from a press to its job after a restart. Event loop.

A button's only state is its custom id, `reverie:ACTION:JOB:NUMBER`; the rest is read from the database.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self, cast

import discord

from bot.frontend.app import Interaction
from bot.frontend.messages.component_tree import walk
from bot.texts import say

SECONDARY, PRIMARY = discord.ButtonStyle.secondary, discord.ButtonStyle.primary
SUCCESS, DANGER = discord.ButtonStyle.success, discord.ButtonStyle.danger

STYLES = {
    "again": (SECONDARY, "🔁"),
    "vary": (SECONDARY, "✨"),
    "continue": (SECONDARY, "⏩"),
    "remix": (SECONDARY, "✏️"),
    "upscale": (PRIMARY, "🔎"),
    "creative": (PRIMARY, "🔎"),
    "subtle": (PRIMARY, "🔎"),
    "timelapse": (SECONDARY, "🎞️"),
    "film": (SECONDARY, "🎬"),
    "heart": (SECONDARY, "❤️"),
    "recipe": (SECONDARY, "📜"),
    "settings": (SECONDARY, "⚙️"),
    "keep": (SECONDARY, "💾"),
    "delete": (SECONDARY, "🗑️"),
    "report": (SECONDARY, "🚩"),
    "finish": (SUCCESS, "✅"),
    "cancel": (DANGER, "✖️"),
    "show": (PRIMARY, "👁️"),
    "erase": (DANGER, "🗑️"),
    "more": (SECONDARY, "⋯"),
    "fetch": (PRIMARY, "📥"),
}
"""Style and emoji of each action's button; its label is the text `button_ACTION`."""
_TEMPLATE = r"reverie:(?P<action>[a-z]{2,12}):(?P<job>\d{1,18}):(?P<number>\d)"


class JobButton(discord.ui.DynamicItem[discord.ui.Button[Any]], template=_TEMPLATE):
    """A button; it passes every press to `App.press`."""

    def __init__(self, action: str, job_id: int, number: int, item: discord.ui.Button[Any]) -> None:
        super().__init__(item)
        self.action, self.job_id, self.number = action, job_id, number

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """The button that was pressed."""
        button = cast("discord.ui.Button[Any]", item)
        return cls(match["action"], int(match["job"]), int(match["number"]), button)

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Pass the press to `App.press`."""
        pressed: Interaction = interaction
        await pressed.client.press(pressed, self.action, self.job_id, self.number)


def job_in(components: Iterable[object]) -> int | None:
    """The job whose buttons are among the components of our own message."""
    ids = (getattr(item, "custom_id", None) or "" for item in walk(components))
    return next((int(found["job"]) for item in ids if (found := re.fullmatch(_TEMPLATE, item))), None)


@dataclass(frozen=True)
class ButtonSpec:
    """The button of an action; `short` replaces its label by one such as U1."""

    action: str
    job_id: int
    locale: str
    number: int = 1
    short: str | None = None

    def button(self, row: int | None = None) -> JobButton:
        """A new button, since each can be in one view only."""
        style, sign = STYLES[self.action]
        button: discord.ui.Button[Any] = discord.ui.Button(
            style=style,
            label=self.short or say(f"button_{self.action}", self.locale),
            emoji=None if self.short else sign,
            custom_id=f"reverie:{self.action}:{self.job_id}:{self.number}",
            row=row,
        )
        return JobButton(self.action, self.job_id, self.number, button)


def job_button(action: str, job_id: int, locale: str, number: int = 1) -> JobButton:
    """The button of an action."""
    return ButtonSpec(action, job_id, locale, number).button()
