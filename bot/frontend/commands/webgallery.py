"""/webgallery: the secret link to a server's pictures on the web. Event loop; for those who manage the server."""

from __future__ import annotations

from discord import app_commands

from bot.errors import WrongState
from bot.frontend.answering import reply
from bot.frontend.app import Interaction
from bot.frontend.commands.admin import MANAGERS, manager_of
from bot.frontend.wording import described
from bot.service import Requester
from bot.texts import say

webgallery = app_commands.Group(
    name="webgallery", description=described("command_webgallery"), guild_only=True, default_permissions=MANAGERS
)


@webgallery.command(name="show", description=described("command_webgallery_show"))
async def show(interaction: Interaction) -> None:
    """Show the link, if there is one."""
    requester = _manager(interaction)
    secret = await interaction.client.service.web_gallery.secret(requester)
    await reply(interaction, link_text(interaction, requester, secret))


@webgallery.command(name="make", description=described("command_webgallery_make"))
async def make(interaction: Interaction) -> None:
    """Make a link, which replaces the one before."""
    requester = _manager(interaction)
    secret = await interaction.client.service.web_gallery.renew(requester)
    await reply(interaction, link_text(interaction, requester, secret))


@webgallery.command(name="revoke", description=described("command_webgallery_revoke"))
async def revoke(interaction: Interaction) -> None:
    """Revoke the link."""
    requester = manager_of(interaction)
    revoked = await interaction.client.service.web_gallery.revoke(requester)
    await reply(interaction, say("webgallery_revoked" if revoked else "webgallery_none", requester.locale))


def link_text(interaction: Interaction, requester: Requester, secret: str | None) -> str:
    """The link, with what whoever has it sees."""
    if secret is None:
        return say("webgallery_none", requester.locale)
    link = f"<{interaction.client.config.gallery.public_address}/{secret}/>"
    return say("webgallery_link", requester.locale, link=link)


def _manager(interaction: Interaction) -> Requester:
    """The requester, who manages the server, if the host serves web galleries.

    Raises:
        NotOwner, WrongState
    """
    requester = manager_of(interaction)
    if not interaction.client.config.gallery.port:
        raise WrongState("webgallery_off")
    return requester
