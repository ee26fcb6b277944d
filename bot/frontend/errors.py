"""Error reports: a text for the person and an id for the log. Event loop."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import discord
from discord import app_commands

from bot.errors import BotError, FilesError, IllegalTransition, StoreError
from bot.frontend.answering import reply
from bot.frontend.app import Interaction, locale_of
from bot.frontend.messages.discord_errors import TROUBLE, Fault, fault_of
from bot.frontend.words import said_plainly
from bot.log import about, new_error_id
from bot.texts import Sentence

_log = logging.getLogger(__name__)


def sentence_for(error: BaseException, error_id: str) -> tuple[Sentence, bool]:
    """The sentence for an error, and True if the error is unexpected."""
    if isinstance(error, app_commands.CommandInvokeError):
        error = error.original
    if isinstance(error, StoreError | FilesError):
        # Its own sentence names files; only the log shows it, to the host.
        return Sentence.of("storage_trouble", error_id=error_id), True
    if isinstance(error, BotError) and not isinstance(error, IllegalTransition):
        return error.sentence, False
    if isinstance(error, discord.HTTPException) and fault_of(error) is Fault.TOO_LARGE:
        return Sentence.of("upload_too_large"), False
    if isinstance(error, app_commands.MissingPermissions):
        return Sentence.of("must_manage"), False
    if isinstance(error, app_commands.NoPrivateMessage):
        return Sentence.of("only_in_servers"), False
    if isinstance(error, app_commands.TransformerError):
        return Sentence.of("option_unreadable", value=str(error.value)[:100]), False
    if isinstance(error, app_commands.CommandSignatureMismatch | app_commands.CommandNotFound):
        return Sentence.of("command_outdated"), False
    return Sentence.of("unexpected", error_id=error_id), True


@asynccontextmanager
async def errors_shown(interaction: Interaction) -> AsyncIterator[None]:
    """Report any error inside to the person; discord.py would only log it."""
    try:
        yield
    except Exception as exc:
        await explain(interaction, exc)


async def explain(interaction: Interaction, error: BaseException) -> None:
    """Report an error privately to the person; log unexpected ones under the same id."""
    error_id = new_error_id()
    sentence, unexpected = sentence_for(error, error_id)
    if unexpected:
        facts = about(error_id=error_id, guild=interaction.guild_id, kind=interaction.type.name)
        _log.error("an interaction failed", exc_info=error, extra=facts)
    try:
        await reply(interaction, said_plainly(sentence, locale_of(interaction)))
    except TROUBLE as exc:
        _log.info("the answer could not be sent: %r", exc)
