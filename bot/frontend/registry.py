"""Command registry: all commands, and their registration with Discord. Event loop."""

from __future__ import annotations

import hashlib
import json
import logging
from typing import Any

import discord
from discord import app_commands

from bot.errors import InvalidJobSpec
from bot.frontend.app import App, Interaction
from bot.frontend.commands import (
    about,
    admin,
    blend,
    blocklist,
    describe,
    film,
    gallery,
    host,
    imagine,
    people,
    presets,
    queue,
    recipe,
    reports,
    server,
    settings,
    styles,
    webgallery,
)
from bot.frontend.commands.together import batch, vote, wildcards
from bot.frontend.components.batches import BatchForm
from bot.frontend.components.cases import CaseButton, WordForm
from bot.frontend.components.confirm import ReasonForm, SureButton
from bot.frontend.components.presets import KeepForm, PresetButton, PresetSelect, UseForm
from bot.frontend.components.remix import RemixForm
from bot.frontend.components.report import ReportForm
from bot.frontend.errors import explain
from bot.frontend.messages.batches import BatchButton
from bot.frontend.messages.job_buttons import JobButton
from bot.frontend.messages.votes import VoteButton
from bot.frontend.wording import Translator
from bot.log import about as facts
from bot.texts import LANGUAGES, say, texts

DIGEST_NOTE = "commands"
MOST = 2**63 - 1
"""The largest whole number of an option."""
INSTALLS = app_commands.AppInstallationType(guild=True, user=False)
"""Servers only, unless a command says otherwise."""
DYNAMIC_ITEMS = (
    JobButton, gallery.PageButton, gallery.PictureSelect, about.OwnButton, SureButton, CaseButton, reports.CasePage,
    reports.CaseSelect, server.ServerButton, server.ServerMenu, settings.SettingSelect, settings.TextsButton,
    styles.StylePageButton, styles.StyleSelect, PresetButton, PresetSelect, BatchButton,
    describe.WordsButton, VoteButton,
)  # fmt: skip
"""Buttons and menus that work after a restart."""
PERSISTENT_FORMS = (
    RemixForm, ReportForm, blend.BlendForm, recipe.LikeForm, KeepForm, WordForm, styles.StyleForm, settings.TextsForm,
    UseForm, BatchForm, ReasonForm, server.SettingForm,
)  # fmt: skip
"""Modals that do."""
COMMANDS: tuple[app_commands.Command[Any, ..., Any] | app_commands.Group | app_commands.ContextMenu, ...] = (
    queue.queue, queue.cancel, gallery.gallery, recipe.recipe, recipe.again, recipe.show_recipe, recipe.imagine_like,
    film.film, film.morph, blend.blend, batch.batch, batch.compare, describe.describe, describe.describe_message,
    wildcards.wildcards, vote.vote, presets.preset, presets.keep_settings,
    settings.settings, styles.styles, about.show_help, about.about, about.privacy, admin.limits, admin.channels,
    admin.pause, admin.resume, admin.clear, admin.safety, admin.stats, admin.retention, blocklist.blocklist,
    admin.models, people.people, reports.reports, server.server, webgallery.webgallery, host.host,
)  # fmt: skip
PERSONAL = (
    "imagine", "blend", "describe", "preset", "again", "recipe", "gallery", "queue", "cancel", "settings", "privacy",
    "help", "about", say("menu_recipe"), say("menu_imagine"), say("menu_describe"), say("menu_preset"),
)  # fmt: skip
"""Names of the commands that people who installed the bot for themselves have everywhere."""
EVERYWHERE = ("help", "about")
"""Names of those that servers' members have in direct messages in any case."""
_log = logging.getLogger(__name__)


class Tree(app_commands.CommandTree[App]):
    """The command tree; errors are reported to the person."""

    async def interaction_check(self, interaction: Interaction, /) -> bool:
        """Reject numbers too large for the database; Discord's own clients send none above 2**53."""
        typed = interaction.namespace if interaction.type is discord.InteractionType.application_command else ()
        for name, value in typed:
            if isinstance(value, int) and abs(value) > MOST:
                await explain(interaction, InvalidJobSpec("number_too_large", field=name, name=name))
                return False
        return True

    async def on_error(self, interaction: Interaction, error: app_commands.AppCommandError, /) -> None:
        """Report the error."""
        await explain(interaction, error)


def add_all(tree: Tree, *, for_everybody: bool) -> None:
    """Add every command to the tree; `for_everybody`: PERSONAL ones also for people without a server."""
    for command in (imagine.command(), *COMMANDS):
        if command.name in PERSONAL:
            anywhere = app_commands.AppCommandContext(guild=True, dm_channel=True, private_channel=True)
            in_servers = None if command.name in EVERYWHERE else app_commands.AppCommandContext(guild=True)
            command.allowed_installs = app_commands.AppInstallationType(guild=True, user=for_everybody)
            command.allowed_contexts = anywhere if for_everybody else in_servers
            command.guild_only = in_servers is not None and not for_everybody
        tree.add_command(command)


async def sync(app: App, tree: Tree, *, anew: bool = False) -> bool:
    """Register the commands if they changed, Discord lost them, or `anew` is set; True if they were registered."""
    await tree.set_translator(Translator())
    guilds = [discord.Object(guild_id) for guild_id in app.config.discord.command_guilds]
    places: list[discord.Object | None] = [*guilds] or [None]
    for guild in guilds:
        tree.copy_global_to(guild=guild)
    payload = [command.to_dict(tree) for command in tree.get_commands()]
    digest = _digest(payload, app.application_id, app.config.discord.command_guilds)
    notes = app.service.store.figures
    known = not anew and await notes.note(DIGEST_NOTE) == digest and await _are_there(tree, places)
    if guilds:
        tree.clear_commands(guild=None)
    if known:
        return False
    if all([await send(tree, place) for place in places]):
        await notes.put_note(DIGEST_NOTE, digest)
    _log.info("commands synced", extra=facts(commands=len(payload)))
    return True


async def send(tree: Tree, place: discord.Object | None) -> bool:
    """Register the commands of one server, or the global ones (None); True if Discord accepted them."""
    try:
        await tree.sync(guild=place)
    except discord.Forbidden as exc:
        # The bot is not in a server that config.yaml names; continue with the others.
        _log.warning("a server does not take the commands: %r", exc, extra=facts(guild=place.id if place else None))
        return False
    return True


async def _are_there(tree: Tree, places: list[discord.Object | None]) -> bool:
    """True if Discord still has the commands: another program with the same token may have removed them."""
    for place in places:
        try:
            found = {command.name for command in await tree.fetch_commands(guild=place)}
        except discord.Forbidden:
            return False
        if found != {command.name for command in tree.get_commands(guild=place)}:
            return False
    return True


def _digest(payload: list[dict[str, Any]], application_id: int | None, guilds: list[int]) -> str:
    translations = [texts(language) for language in LANGUAGES[1:]]
    text = json.dumps([application_id, sorted(guilds), payload, translations], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
