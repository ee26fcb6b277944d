"""/models: model sets that pictures can be made with; narrowed and chosen by a server's admins. Event loop."""

from __future__ import annotations

from discord import app_commands

from bot.frontend.answering import reply
from bot.frontend.app import Interaction
from bot.frontend.asking import requester_of
from bot.frontend.wording import described
from bot.service import ServerModels
from bot.texts import say

MAX_CHOICES = 25

models = app_commands.Group(name="models", description=described("command_models"), guild_only=True)


@models.command(name="list", description=described("command_models_list"))
async def show(interaction: Interaction) -> None:
    """List the model sets of this server."""
    requester = requester_of(interaction)
    found = await interaction.client.service.guilds.models(requester.guild_id)
    await reply(interaction, _text(found, requester.locale))


@models.command(name="allow", description=described("command_models_allow"))
@app_commands.describe(model=described("option_model_set"))
async def allow(interaction: Interaction, model: str) -> None:
    """Allow a model set."""
    requester = requester_of(interaction)
    found = await interaction.client.service.guilds.allow_models(requester, model, allowed=True)
    await reply(interaction, _text(found, requester.locale))


@models.command(name="deny", description=described("command_models_deny"))
@app_commands.describe(model=described("option_model_set"))
async def deny(interaction: Interaction, model: str) -> None:
    """Deny a model set."""
    requester = requester_of(interaction)
    found = await interaction.client.service.guilds.allow_models(requester, model, allowed=False)
    await reply(interaction, _text(found, requester.locale))


@models.command(name="default", description=described("command_models_default"))
@app_commands.describe(model=described("option_model_set"))
async def default(interaction: Interaction, model: str) -> None:
    """Choose the usual model set of this server."""
    requester = requester_of(interaction)
    found = await interaction.client.service.guilds.set_usual_models(requester, model)
    await reply(interaction, _text(found, requester.locale))


@allow.autocomplete("model")
@deny.autocomplete("model")
@default.autocomplete("model")
async def complete(interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
    """Model sets that the host offers."""
    names = [name for name in interaction.client.config.model_names if typed.strip().lower() in name.lower()]
    return [app_commands.Choice(name=name[:100], value=name[:100]) for name in names[:MAX_CHOICES]]


def _text(found: ServerModels, locale: str) -> str:
    return say("models_here", locale, allowed=", ".join(found.allowed), usual=found.usual)
