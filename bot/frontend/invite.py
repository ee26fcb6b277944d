"""Links that add the bot to a server, or to one's own account. No network; any thread."""

from __future__ import annotations

import base64
import binascii

import discord

from bot.errors import ConfigError

PERMISSIONS = discord.Permissions(
    view_channel=True,
    send_messages=True,
    send_messages_in_threads=True,
    create_public_threads=True,
    attach_files=True,
    embed_links=True,
    read_message_history=True,
)


def invitation(token: str | None, application_id: int | None) -> str:
    """The link for an application's id, or for the id contained in the token.

    Raises:
        ConfigError: if neither is given, or the token contains no id.
    """
    if application_id is None:
        application_id = _id_in(token)
    scopes = ("bot", "applications.commands")
    return discord.utils.oauth_url(application_id, permissions=PERMISSIONS, scopes=scopes)


def personal_invitation(token: str | None, application_id: int | None) -> str:
    """The link by which people add the bot to their own account; arguments and errors as in `invitation`."""
    if application_id is None:
        application_id = _id_in(token)
    return f"{discord.utils.oauth_url(application_id, scopes=('applications.commands',))}&integration_type=1"


def _id_in(token: str | None) -> int:
    part = (token or "").partition(".")[0]
    try:
        return int(base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_").decode("ascii"))
    except (ValueError, binascii.Error, UnicodeDecodeError) as exc:
        raise ConfigError("invite_needs_id") from exc
