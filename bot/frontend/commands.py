"""All commands: which there are, and whether Discord knows them as they are now. Event loop."""

from __future__ import annotations

import hashlib
import json
import logging
from typing import Any

import discord
from discord import app_commands

from bot.frontend import about, admin, blend, blocklist, gallery, host, imagine, queue, recipe, styles
from bot.frontend.app import App, Interaction
from bot.frontend.errors import explain
from bot.frontend.keys import JobButton
from bot.frontend.wording import Translator
from bot.log import about as facts

DIGEST_NOTE = "commands"
DYNAMIC_ITEMS = (JobButton, gallery.PageButton, gallery.PictureSelect, about.OwnButton)
"""Buttons and menus that work after a restart."""
COMMANDS: tuple[app_commands.Command[Any, ..., Any] | app_commands.Group | app_commands.ContextMenu, ...] = (
    queue.queue, queue.cancel, gallery.gallery, recipe.recipe, recipe.again, recipe.show_recipe, recipe.imagine_like,
    blend.blend, styles.styles, about.show_help, about.about, about.privacy, admin.limits, admin.channels, admin.pause,
    admin.resume, admin.clear, admin.safety, admin.stats, admin.retention, blocklist.blocklist, host.host,
)  # fmt: skip
_log = logging.getLogger(__name__)


class Tree(app_commands.CommandTree[App]):
    """The commands; whatever goes wrong in one is told to the person."""

    async def on_error(self, interaction: Interaction, error: app_commands.AppCommandError, /) -> None:
        """Say what went wrong."""
        await explain(interaction, error)


def add_all(tree: Tree) -> None:
    """Put every command into the tree."""
    tree.add_command(imagine.command())
    for command in COMMANDS:
        tree.add_command(command)


async def sync(app: App, tree: Tree, *, anew: bool = False) -> bool:
    """Tell Discord the commands if they are not what it was told last, or `anew`; whether it was told."""
    await tree.set_translator(Translator())
    guilds = [discord.Object(guild_id) for guild_id in app.config.discord.command_guilds]
    for guild in guilds:
        tree.copy_global_to(guild=guild)
    payload = [await command.get_translated_payload(tree, Translator()) for command in tree.get_commands()]
    digest = _digest(payload, app.application_id, app.config.discord.command_guilds)
    notes = app.service.store.figures
    if not anew and await notes.note(DIGEST_NOTE) == digest:
        return False
    if guilds:
        tree.clear_commands(guild=None)
    places: list[discord.Object | None] = [*guilds] or [None]
    for place in places:
        await tree.sync(guild=place)
    await notes.put_note(DIGEST_NOTE, digest)
    _log.info("commands synced", extra=facts(commands=len(payload)))
    return True


def _digest(payload: list[dict[str, Any]], application_id: int | None, guilds: list[int]) -> str:
    text = json.dumps([application_id, sorted(guilds), payload], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
